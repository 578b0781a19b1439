// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include <unmask/attention/detail/checks.hpp>
#include <unmask/config.hpp>
#include <unmask/error.hpp>
#include <unmask/tensor/float_types.hpp>
#include <unmask/tensor/tensor_view.hpp>

UNMASK_NAMESPACE_BEGIN

/// The keys and values of one sequence in every layer of a model, in host memory: positions 0, 1, … n − 1, dense, in
/// the layout of attention_tensors. Any position can be overwritten; the caller decides whether stored entries are
/// still valid. This is the storage of approximate caches for bidirectional models (the prefix and dual caches of
/// Fast-dLLM, arXiv 2505.22618); where approximation is not acceptable, use kv_cache.
///
/// A value type: copies are independent. Memory: 2 · layers · capacity · kv_heads · head_dim elements.
/// Capacity at least doubles when it is exceeded; `reserve` sets it in advance. Functions may be called
/// concurrently for different layers.
template <storage_type T>
class key_value_store {
public:
    /// An empty store. Throws invalid_argument if a size is below 1.
    key_value_store(index_t layers, index_t kv_heads, index_t head_dim) : kv_heads_(kv_heads), head_dim_(head_dim) {
        const detail::checker check{"key_value_store"};
        check.expects(layers >= 1, "layers", layers, "at least 1");
        check.expects(kv_heads >= 1, "kv_heads", kv_heads, "at least 1");
        check.expects(head_dim >= 1, "head_dim", head_dim, "at least 1");
        layers_.resize(static_cast<std::size_t>(layers));
    }

    /// Number of layers.
    [[nodiscard]] index_t layers() const { return std::ssize(layers_); }
    /// Number of key and value heads.
    [[nodiscard]] index_t kv_heads() const { return kv_heads_; }
    /// Elements per head.
    [[nodiscard]] index_t head_dim() const { return head_dim_; }

    /// Number of positions that a layer holds.
    [[nodiscard]] index_t length(index_t layer) const {
        check_layer("key_value_store::length", layer);
        return length_of(at(layer));
    }

    /// Number of positions that every layer holds.
    [[nodiscard]] index_t length() const {
        index_t shortest = length_of(layers_.front());
        for (const layer_data& each : layers_) {
            shortest = std::min(shortest, length_of(each));
        }
        return shortest;
    }

    /// Makes room for this many positions: nothing allocates until there are more.
    void reserve(index_t positions) {
        detail::checker{"key_value_store::reserve"}.expects(positions >= 0, "positions", positions, "at least 0");
        for (layer_data& each : layers_) {
            each.key.reserve(static_cast<std::size_t>(positions * width()));
            each.value.reserve(static_cast<std::size_t>(positions * width()));
        }
    }

    /// Copies keys and values to positions begin, begin + 1, … of a layer, overwriting and appending.
    ///
    /// key and value are [1, positions, kv_heads, head_dim], in memory other than the store's. Throws invalid_argument,
    /// with nothing written, for other shapes, or if begin is not in [0, length(layer)]: there are no gaps. If the
    /// layer grows, views of it that `key` and `value` returned become invalid. Work: a copy.
    void write(index_t layer, index_t begin, const tensor_view<const T, 4>& key, const tensor_view<const T, 4>& value) {
        const detail::checker check{"key_value_store::write"};
        check_layer(check.function, layer);
        layer_data& to = at(layer);
        const index_t held = length_of(to);
        check.expects(begin >= 0 && begin <= held, "begin", begin,
                      "between 0 and " + std::to_string(held) + ", the positions that layer " + std::to_string(layer) +
                          " holds");
        const index_t positions = key.extents[1];
        check.expects(positions >= 0, "key.extents[1] (positions)", positions, "at least 0");
        check.tensor(key, "key", {1, positions, kv_heads_, head_dim_});
        check.tensor(value, "value", {1, positions, kv_heads_, head_dim_});
        copy(key, begin, to.key);
        copy(value, begin, to.value);
    }

    /// Removes positions from `length` on in every layer and keeps the memory. Layers that hold fewer stay as they are.
    /// Throws invalid_argument if length < 0.
    void truncate(index_t length) {
        detail::checker{"key_value_store::truncate"}.expects(length >= 0, "length", length, "at least 0");
        for (layer_data& each : layers_) {
            const auto size = static_cast<std::size_t>(std::min(length, length_of(each)) * width());
            each.key.resize(size);
            each.value.resize(size);
        }
    }

    /// The keys of a layer's first positions: [1, positions, kv_heads, head_dim], valid until the layer grows. Throws
    /// invalid_argument if positions is not in [0, length(layer)].
    [[nodiscard]] tensor_view<const T, 4> key(index_t layer, index_t positions) const {
        return first(layer, positions, "key_value_store::key", &layer_data::key);
    }

    /// The values of a layer's first positions, like `key`.
    [[nodiscard]] tensor_view<const T, 4> value(index_t layer, index_t positions) const {
        return first(layer, positions, "key_value_store::value", &layer_data::value);
    }

private:
    struct layer_data {
        std::vector<T> key;   // [positions, kv_heads, head_dim]
        std::vector<T> value; // [positions, kv_heads, head_dim]
    };

    [[nodiscard]] index_t width() const { return kv_heads_ * head_dim_; }
    [[nodiscard]] index_t length_of(const layer_data& layer) const { return std::ssize(layer.key) / width(); }
    [[nodiscard]] const layer_data& at(index_t layer) const { return layers_[static_cast<std::size_t>(layer)]; }
    [[nodiscard]] layer_data& at(index_t layer) { return layers_[static_cast<std::size_t>(layer)]; }

    void check_layer(const char* function, index_t layer) const {
        detail::checker{function}.expects(layer >= 0 && layer < layers(), "layer", layer,
                                          "between 0 and " + std::to_string(layers() - 1));
    }

    void copy(const tensor_view<const T, 4>& from, index_t begin, std::vector<T>& to) const {
        const auto end = static_cast<std::size_t>((begin + from.extents[1]) * width());
        if (end > to.capacity()) {
            to.reserve(std::max(end, 2 * to.capacity()));
        }
        to.resize(std::max(to.size(), end));
        T* target = to.data() + begin * width();
        for (index_t position = 0; position < from.extents[1]; ++position) {
            for (index_t head = 0; head < kv_heads_; ++head) {
                target = std::copy_n(from.pointer(0, position, head), head_dim_, target);
            }
        }
    }

    [[nodiscard]] tensor_view<const T, 4> first(index_t layer, index_t positions, const char* function,
                                                std::vector<T> layer_data::* part) const {
        check_layer(function, layer);
        const index_t held = length_of(at(layer));
        detail::checker{function}.expects(positions >= 0 && positions <= held, "positions", positions,
                                          "between 0 and " + std::to_string(held) + ", what layer " +
                                              std::to_string(layer) + " holds");
        return view((at(layer).*part).data(), index_t{1}, positions, kv_heads_, head_dim_);
    }

    index_t kv_heads_;
    index_t head_dim_;
    std::vector<layer_data> layers_;
};

UNMASK_NAMESPACE_END
