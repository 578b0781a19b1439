// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>

#include <unmask/config.hpp>
#include <unmask/cpu/attention_problem.hpp>
#include <unmask/cpu/executor.hpp>
#include <unmask/mask/ranges.hpp>
#include <unmask/tensor/tensor_view.hpp>

// Operands are copied once into dense floats, padded to whole registers, so that the inner loops know neither storage
// types nor strides nor tails.

UNMASK_NAMESPACE_BEGIN
namespace detail {

// Floats on a cache-line boundary, not initialised.
class float_buffer {
public:
    explicit float_buffer(index_t count)
        : data_(static_cast<float*>(
              ::operator new(static_cast<std::size_t>(count) * sizeof(float), std::align_val_t{64}))) {}

    [[nodiscard]] float* data() const { return data_.get(); }

private:
    struct release {
        void operator()(float* memory) const { ::operator delete(memory, std::align_val_t{64}); }
    };
    std::unique_ptr<float, release> data_;
};

// Rows [first, first + count) of one head as floats times factor, width floats a row, the tail of each row 0.
template <class T>
inline void pack_rows(const tensor_view<const T, 4>& from, index_t sequence, index_t head, index_t first, index_t count,
                      index_t width, float factor, float* to) {
    const index_t head_dim = from.extents[3];
    for (index_t row = 0; row < count; ++row, to += width) {
        const T* source = from.pointer(sequence, first + row, head);
        for (index_t d = 0; d < head_dim; ++d) {
            to[d] = static_cast<float>(source[d]) * factor;
        }
        for (index_t d = head_dim; d < width; ++d) {
            to[d] = 0.0F;
        }
    }
}

// The same rows transposed: head_dim rows of key_tile floats, the columns past count 0.
template <class T>
inline void pack_transposed(const tensor_view<const T, 4>& from, index_t sequence, index_t head, index_t first,
                            index_t count, float* to) {
    const index_t head_dim = from.extents[3];
    for (index_t column = 0; column < key_tile; ++column) {
        if (column < count) {
            const T* source = from.pointer(sequence, first + column, head);
            for (index_t d = 0; d < head_dim; ++d) {
                to[d * key_tile + column] = static_cast<float>(source[d]);
            }
        } else {
            for (index_t d = 0; d < head_dim; ++d) {
                to[d * key_tile + column] = 0.0F;
            }
        }
    }
}

// Rows of floats times factor, rounded to the storage type: the way back.
template <class T>
inline void unpack_rows(const float* from, index_t width, float factor, const tensor_view<T, 4>& to, index_t sequence,
                        index_t head, index_t first, index_t count) {
    const index_t head_dim = to.extents[3];
    for (index_t row = 0; row < count; ++row, from += width) {
        T* target = to.pointer(sequence, first + row, head);
        for (index_t d = 0; d < head_dim; ++d) {
            target[d] = static_cast<T>(from[d] * factor);
        }
    }
}

// What rows past a sequence's length get. A tensor that is not wanted is left alone.
template <class T>
inline void clear_rows(const tensor_view<T, 4>& tensor, index_t sequence, index_t head, range rows) {
    for (index_t row = rows.begin; row < rows.end && !tensor.empty(); ++row) {
        std::fill_n(tensor.pointer(sequence, row, head), tensor.extents[3], T(0.0F));
    }
}

// Every key as a transposed panel, once for each (sequence, kv head): panel(b, h, k) is head_dim × key_tile floats.
template <class T>
class packed_panels {
public:
    packed_panels(const cpu_executor& exec, const tensor_view<const T, 4>& keys)
        : tiles_(tiles_of(keys.extents[1], key_tile)), heads_(keys.extents[2]), panel_(keys.extents[3] * key_tile),
          memory_(keys.extents[0] * heads_ * tiles_ * panel_) {
        exec.parallel_for(keys.extents[0] * heads_ * tiles_, [&](index_t task, int) {
            const index_t tile = task % tiles_ * key_tile;
            const index_t head = task / tiles_ % heads_;
            const index_t count = std::min(key_tile, keys.extents[1] - tile);
            pack_transposed(keys, task / tiles_ / heads_, head, tile, count, memory_.data() + task * panel_);
        });
    }

    [[nodiscard]] const float* panel(index_t sequence, index_t head, index_t position) const {
        return memory_.data() + ((sequence * heads_ + head) * tiles_ + position / key_tile) * panel_;
    }

private:
    index_t tiles_;
    index_t heads_;
    index_t panel_;
    float_buffer memory_;
};

// Every row as floats, once for each (sequence, kv head): row(b, h, k) is width floats, the next row follows it.
template <class T>
class packed_rows {
public:
    packed_rows(const cpu_executor& exec, const tensor_view<const T, 4>& rows, index_t width)
        : length_(rows.extents[1]), heads_(rows.extents[2]), width_(width),
          memory_(rows.extents[0] * heads_ * length_ * width) {
        const index_t tiles = tiles_of(length_, key_tile);
        exec.parallel_for(rows.extents[0] * heads_ * tiles, [&](index_t task, int) {
            const index_t first = task % tiles * key_tile;
            const index_t head = task / tiles % heads_;
            const index_t sequence = task / tiles / heads_;
            pack_rows(rows, sequence, head, first, std::min(key_tile, length_ - first), width_, 1.0F,
                      memory_.data() + ((sequence * heads_ + head) * length_ + first) * width_);
        });
    }

    [[nodiscard]] const float* row(index_t sequence, index_t head, index_t position) const {
        return memory_.data() + ((sequence * heads_ + head) * length_ + position) * width_;
    }

private:
    index_t length_;
    index_t heads_;
    index_t width_;
    float_buffer memory_;
};

} // namespace detail
UNMASK_NAMESPACE_END
