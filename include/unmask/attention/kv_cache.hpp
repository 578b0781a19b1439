// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <limits>
#include <string>

#include <unmask/attention/detail/checks.hpp>
#include <unmask/attention/key_value_store.hpp>
#include <unmask/config.hpp>
#include <unmask/error.hpp>
#include <unmask/mask/detail/check.hpp>
#include <unmask/mask/looks_back.hpp>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/mask/ranges.hpp>
#include <unmask/tensor/float_types.hpp>
#include <unmask/tensor/tensor_view.hpp>

UNMASK_NAMESPACE_BEGIN

/// An exact key-value cache: the keys and values of one sequence in every layer, under a mask that lets no position see
/// a later block. Attention over the cached positions gives the same bits as attention over the whole sequence.
///
///     unmask::kv_cache<float, unmask::block> cache(unmask::block{32}, layers, kv_heads, head_dim);
///     // for every block, each time its tokens change, in every layer:
///     cache.write(layer, begin, key, value); // only the block's
///     const unmask::attention_tensors<float> tensors{query, cache.key(layer, end), cache.value(layer, end), output};
///     unmask::attention_forward(exec, tensors, cache.mask(), unmask::no_sink{}, {.query_offset = begin});
///     // once the block's tokens are final and its keys and values computed from them:
///     cache.keep(end);
///
/// Positions below length() are final and can't be overwritten; later ones are a draft, which can be written any number
/// of times. `keep` makes whole blocks final. It rejects an end inside a block, whose positions would still change with
/// the rest of the block.
///
/// The type does not compile with a mask for which looks_back is false, because its cache would be an approximation.
/// For that, use key_value_store and the sampler's prefix_cache or dual_cache.
///
/// A value type: copies are independent. Memory: that of a key_value_store, on the host.
template <storage_type T, mask_policy Mask>
class kv_cache {
    static_assert(
        looks_back<Mask>,
        "unmask::kv_cache: keys and values of earlier positions stay right only if the mask lets no position see "
        "a later block (unmask::looks_back); for an approximation ask for unmask::prefix_cache or "
        "unmask::dual_cache by name, and store keys and values in an unmask::key_value_store");

public:
    /// An empty cache. Throws invalid_argument if a size is below 1 or the mask's parameters are out of bounds.
    kv_cache(const Mask& mask, index_t layers, index_t kv_heads, index_t head_dim)
        : mask_(mask), store_(layers, kv_heads, head_dim) {
        detail::check_mask("kv_cache", mask);
    }

    /// The mask.
    [[nodiscard]] const Mask& mask() const { return mask_; }
    /// Number of layers.
    [[nodiscard]] index_t layers() const { return store_.layers(); }
    /// Number of key and value heads.
    [[nodiscard]] index_t kv_heads() const { return store_.kv_heads(); }
    /// Elements per head.
    [[nodiscard]] index_t head_dim() const { return store_.head_dim(); }

    /// Number of final positions.
    [[nodiscard]] index_t length() const { return length_; }

    /// Makes room for this many positions.
    void reserve(index_t positions) { store_.reserve(positions); }

    /// Copies keys and values [1, positions, kv_heads, head_dim] to positions begin, begin + 1, … of a layer. Throws
    /// invalid_argument if begin < length(), or as key_value_store::write does.
    void write(index_t layer, index_t begin, const tensor_view<const T, 4>& key, const tensor_view<const T, 4>& value) {
        detail::checker{"kv_cache::write"}.expects(
            begin >= length_, "begin", begin, "at least " + std::to_string(length_) + ": what comes before is final");
        store_.write(layer, begin, key, value);
    }

    /// Makes all positions before `end` final. Throws invalid_argument if end < length(), if a layer does not hold all
    /// of them, or if one of them sees `end` or a later position, that is, if `end` is inside a block. Work: O(1) for
    /// the library's masks and a valid end.
    void keep(index_t end) {
        const detail::checker check{"kv_cache::keep"};
        check.expects(end >= length_, "end", end, "at least " + std::to_string(length_) + ", what is final");
        check.expects(end <= store_.length(), "end", end,
                      "at most " + std::to_string(store_.length()) + ", what every layer holds");
        check_whole_blocks(check, "end", length_, end);
        length_ = end;
    }

    /// Removes positions from `length` on, the draft included; 0 empties the cache. Throws invalid_argument if length
    /// is not in [0, length()] or is inside a block.
    void truncate(index_t length) {
        const detail::checker check{"kv_cache::truncate"};
        check.expects(length >= 0 && length <= length_, "length", length,
                      "between 0 and " + std::to_string(length_) + ", what is final");
        check_whole_blocks(check, "length", 0, length);
        store_.truncate(length);
        length_ = length;
    }

    /// The keys of a layer's first positions, final or draft: [1, positions, kv_heads, head_dim]. See
    /// key_value_store::key.
    [[nodiscard]] tensor_view<const T, 4> key(index_t layer, index_t positions) const {
        return store_.key(layer, positions);
    }
    /// The values of a layer's first positions, like `key`.
    [[nodiscard]] tensor_view<const T, 4> value(index_t layer, index_t positions) const {
        return store_.value(layer, positions);
    }

private:
    // Throws if a query of [begin, end) sees a key at `end` or later, among the keys in the mask's ranges. If the
    // ranges have no end, as many keys are checked as there are queries.
    void check_whole_blocks(const detail::checker& check, const char* argument, index_t begin, index_t end) const {
        constexpr index_t far = std::numeric_limits<index_t>::max() / 4;
        if (begin >= end) {
            return;
        }
        for (const range& each : mask_.key_ranges(begin, end, far)) {
            const index_t last = each.end < far ? each.end : end + (end - begin);
            for (index_t k = detail::larger(each.begin, end); k < last; ++k) {
                for (index_t q = begin; q < end; ++q) {
                    if (mask_.visible(q, k)) {
                        throw invalid_argument(check.function, argument, std::to_string(end),
                                               "the end of a block (position " + std::to_string(q) + " sees position " +
                                                   std::to_string(k) + ")");
                    }
                }
            }
        }
    }

    Mask mask_;
    key_value_store<T> store_;
    index_t length_ = 0;
};

UNMASK_NAMESPACE_END
