// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstdint>
#if defined(__AVX512BF16__)
#include <immintrin.h>
#endif

#include <unmask/config.hpp>
#include <unmask/cpu/simd.hpp>

// The products of tiles that stay in cache, C = A · B: everything else in this folder exists to feed them.

UNMASK_NAMESPACE_BEGIN
namespace detail {

// The rows of a block of sums that is kept in registers, two vectors wide: 8 × 2 of the 32 registers of AVX-512, 6 × 2 of
// 16 otherwise. More spill, fewer don't hide the latency of an addition.
inline constexpr int block_rows = lanes == 16 ? 8 : 6;

// How packed elements are multiplied. Both are 32 bits wide, so that tiles have one layout for all storage types.
struct float_products {
    using element = float;
    static constexpr int depth = 1; // numbers in an element
    static vfloat multiply_add(vfloat sum, float left, const float* right) { return sum + left * load(right); }
};

#if defined(__AVX512BF16__)
// Pairs of bfloat16 that lie beside each other along the depth of the product, the first in the low half: twice the work
// an instruction. Products are exact, sums are float.
struct bfloat16_products {
    using element = std::uint32_t;
    static constexpr int depth = 2;
    static vfloat multiply_add(vfloat sum, std::uint32_t left, const std::uint32_t* right) {
        return _mm512_dpbf16_ps(sum, (__m512bh)_mm512_set1_epi32(static_cast<int>(left)),
                                (__m512bh)_mm512_loadu_si512(right));
    }
};
#endif

// The left factor: element (row, depth) is data[row * stride + depth], transposed data[depth * stride + row].
template <class Element, bool Transposed>
struct left_factor {
    const Element* data;
    index_t stride;

    [[nodiscard]] const Element* row(index_t row) const { return data + (Transposed ? row : row * stride); }
    [[nodiscard]] Element at(index_t row, index_t depth) const {
        return data[Transposed ? depth * stride + row : row * stride + depth];
    }
};

// Where the sums go, and what they start from: 0, or what is there, each row times its `rescale` if that is given.
struct sums_tile {
    float* data;
    index_t stride;
    bool accumulate = false;
    const float* rescale = nullptr;
};

// Rows × Vectors registers of sums. The loops must be unrolled whole: otherwise g++ 12 keeps the sums on the stack, and
// the product runs at an eighth of its speed.
template <class Products, int Rows, int Vectors, bool Transposed>
inline void multiply_block(index_t depth, left_factor<typename Products::element, Transposed> a,
                           const typename Products::element* b, index_t b_stride, sums_tile c) {
    vfloat sums[Rows][Vectors]{};
    if (c.accumulate) {
#pragma GCC unroll 16
        for (int row = 0; row < Rows; ++row) {
            const vfloat factor = broadcast(c.rescale != nullptr ? c.rescale[row] : 1.0F);
#pragma GCC unroll 16
            for (int v = 0; v < Vectors; ++v) {
                sums[row][v] = load(c.data + row * c.stride + v * lanes) * factor;
            }
        }
    }
    for (index_t k = 0; k < depth; ++k) {
#pragma GCC unroll 16
        for (int row = 0; row < Rows; ++row) {
            const typename Products::element left = a.at(row, k);
#pragma GCC unroll 16
            for (int v = 0; v < Vectors; ++v) {
                sums[row][v] = Products::multiply_add(sums[row][v], left, b + k * b_stride + v * lanes);
            }
        }
    }
#pragma GCC unroll 16
    for (int row = 0; row < Rows; ++row) {
#pragma GCC unroll 16
        for (int v = 0; v < Vectors; ++v) {
            store(c.data + row * c.stride + v * lanes, sums[row][v]);
        }
    }
}

// The rows in blocks of Rows, what is left over in blocks of half that size, and so on.
template <class Products, int Rows, int Vectors, bool Transposed>
inline void multiply_rows(index_t rows, index_t depth, left_factor<typename Products::element, Transposed> a,
                          const typename Products::element* b, index_t b_stride, sums_tile c) {
    for (; rows >= Rows; rows -= Rows) {
        multiply_block<Products, Rows, Vectors>(depth, a, b, b_stride, c);
        a.data = a.row(Rows);
        c.data += Rows * c.stride;
        c.rescale = c.rescale != nullptr ? c.rescale + Rows : nullptr;
    }
    if constexpr (Rows > 1) {
        if (rows > 0) {
            multiply_rows<Products, Rows / 2, Vectors>(rows, depth, a, b, b_stride, c);
        }
    }
}

// C = A · B or C += A · B. columns is a multiple of `lanes`, depth counts elements. Each sum runs over the depth in
// order, whatever the size of the tile, so results don't depend on how the work is cut. Not inlined: it is long, and
// compiled once for every place that calls it.
template <class Products, bool Transposed>
[[gnu::noinline]] inline void multiply(index_t rows, index_t columns, index_t depth,
                                       left_factor<typename Products::element, Transposed> a,
                                       const typename Products::element* b, index_t b_stride, sums_tile c) {
    for (; columns >= 2 * lanes; columns -= 2 * lanes) {
        multiply_rows<Products, block_rows, 2>(rows, depth, a, b, b_stride, c);
        b += 2 * lanes;
        c.data += 2 * lanes;
    }
    if (columns > 0) {
        multiply_rows<Products, block_rows, 1>(rows, depth, a, b, b_stride, c);
    }
}

} // namespace detail
UNMASK_NAMESPACE_END
