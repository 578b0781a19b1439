// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <unmask/config.hpp>
#include <unmask/cpu/attention/tile_product.hpp>
#include <unmask/cpu/simd.hpp>
#include <unmask/tensor/float_types.hpp>
#include <unmask/tensor/tensor_view.hpp>

// Tiles are copied into dense, padded memory before they are multiplied, so that the inner loops know neither storage
// types nor strides nor tails. Each copy serves many products and costs a hundredth of them.

UNMASK_NAMESPACE_BEGIN
namespace detail {

using vhalf = std::uint16_t __attribute__((vector_size(lanes * sizeof(std::uint16_t))));

// A register of stored numbers as floats.
inline vfloat load_floats(const float* from) {
    return load(from);
}
inline vint load_halves(const void* from) {
    vhalf bits;
    std::memcpy(&bits, from, sizeof bits);
    return __builtin_convertvector(bits, vint);
}
inline vfloat load_floats(const bfloat16* from) {
    return std::bit_cast<vfloat>(load_halves(from) << 16);
}
inline vfloat load_floats(const float16* from) { // as float16's own conversion
    const vint bits = load_halves(from);
    const vint magnitude = bits & 0x7fff;
    const vint normal = (magnitude << 13) + (112 << 23);
    const vint infinite_or_nan = (magnitude << 13) | 0x7f800000;
    const vint subnormal = std::bit_cast<vint>(__builtin_convertvector(magnitude, vfloat) * 0x1p-24F);
    const vint unsigned_bits = magnitude < 0x0400 ? subnormal : magnitude < 0x7c00 ? normal : infinite_or_nan;
    return std::bit_cast<vfloat>(unsigned_bits | ((bits & 0x8000) << 16));
}

// Σ a · b of two stored rows. The order of the sum depends on the length alone: equal rows give equal sums.
template <class T>
inline float row_dot(const T* a, const T* b, index_t length) {
    vfloat sums{};
    index_t i = 0;
    for (; i + lanes <= length; i += lanes) {
        sums = multiply_add(load_floats(a + i), load_floats(b + i), sums);
    }
    float sum = sum_of_lanes(sums);
    for (; i < length; ++i) {
        sum = multiply_add(static_cast<float>(a[i]), static_cast<float>(b[i]), sum);
    }
    return sum;
}

// A row as floats times factor, its tail up to width 0.
template <class T>
inline void pack_row(const T* from, index_t head_dim, float factor, float* to, index_t width) {
    index_t d = 0;
    for (; d + lanes <= head_dim; d += lanes) {
        store(to + d, load_floats(from + d) * factor);
    }
    for (; d < head_dim; ++d) {
        to[d] = static_cast<float>(from[d]) * factor;
    }
    for (; d < width; ++d) {
        to[d] = 0.0F;
    }
}

// Rows [first, first + count) of one head as floats times factor.
template <class T>
inline void pack_rows(const tensor_view<const T, 4>& from, index_t sequence, index_t head, index_t first, index_t count,
                      float factor, float* to, index_t width) {
    for (index_t row = 0; row < count; ++row) {
        pack_row(from.pointer(sequence, first + row, head), from.extents[3], factor, to + row * width, width);
    }
}

// A row as pairs of neighbours, as they are stored, its tail up to width pairs 0.
inline void pack_row(const bfloat16* from, index_t head_dim, std::uint32_t* to, index_t width) {
    std::fill(to + head_dim / 2, to + width, 0U);
    std::memcpy(to, from, static_cast<std::size_t>(head_dim) * sizeof *from);
}
inline void pack_rows(const tensor_view<const bfloat16, 4>& from, index_t sequence, index_t head, index_t first,
                      index_t count, std::uint32_t* to, index_t width) {
    for (index_t row = 0; row < count; ++row) {
        pack_row(from.pointer(sequence, first + row, head), from.extents[3], to + row * width, width);
    }
}

// Rows as pairs of two neighbours in a column: ⌈count / 2⌉ rows of `width` pairs.
inline void pack_row_pairs(const tensor_view<const bfloat16, 4>& from, index_t sequence, index_t head, index_t first,
                           index_t count, std::uint32_t* to, index_t width) {
    const index_t head_dim = from.extents[3];
    for (index_t row = 0; row < count; row += 2, to += width) {
        const bfloat16* low = from.pointer(sequence, first + row, head);
        if (row + 1 < count) {
            const bfloat16* high = from.pointer(sequence, first + row + 1, head);
            for (index_t d = 0; d < head_dim; ++d) {
                to[d] = low[d].bits | static_cast<std::uint32_t>(high[d].bits) << 16;
            }
        } else {
            for (index_t d = 0; d < head_dim; ++d) {
                to[d] = low[d].bits;
            }
        }
        std::fill(to + head_dim, to + width, 0U);
    }
}

// A row of floats times factor, rounded to the storage type: the way back.
inline void unpack_row(const float* from, index_t head_dim, float factor, float* to) {
    index_t d = 0;
    for (; d + lanes <= head_dim; d += lanes) {
        store(to + d, load(from + d) * factor);
    }
    for (; d < head_dim; ++d) {
        to[d] = from[d] * factor;
    }
}
template <class T>
inline void unpack_row(const float* from, index_t head_dim, float factor, T* to) {
    for (index_t d = 0; d < head_dim; ++d) {
        to[d] = static_cast<T>(from[d] * factor);
    }
}

// to[column][row] = from[row][column] for words of 32 bits, in blocks of 4 × 4: both extents are multiples of 4.
template <class Word>
inline void transpose(const Word* from, index_t from_stride, index_t rows, index_t columns, Word* to,
                      index_t to_stride) {
    static_assert(sizeof(Word) == sizeof(std::int32_t));
    using quad = std::int32_t __attribute__((vector_size(4 * sizeof(std::int32_t))));
    for (index_t row = 0; row < rows; row += 4) {
        for (index_t column = 0; column < columns; column += 4) {
            quad line[4];
            for (int i = 0; i < 4; ++i) {
                std::memcpy(&line[i], from + (row + i) * from_stride + column, sizeof(quad));
            }
            const quad low_01 = __builtin_shufflevector(line[0], line[1], 0, 4, 1, 5);
            const quad low_23 = __builtin_shufflevector(line[2], line[3], 0, 4, 1, 5);
            const quad high_01 = __builtin_shufflevector(line[0], line[1], 2, 6, 3, 7);
            const quad high_23 = __builtin_shufflevector(line[2], line[3], 2, 6, 3, 7);
            line[0] = __builtin_shufflevector(low_01, low_23, 0, 1, 4, 5);
            line[1] = __builtin_shufflevector(low_01, low_23, 2, 3, 6, 7);
            line[2] = __builtin_shufflevector(high_01, high_23, 0, 1, 4, 5);
            line[3] = __builtin_shufflevector(high_01, high_23, 2, 3, 6, 7);
            for (int i = 0; i < 4; ++i) {
                std::memcpy(to + (column + i) * to_stride + row, &line[i], sizeof(quad));
            }
        }
    }
}

} // namespace detail
UNMASK_NAMESPACE_END
