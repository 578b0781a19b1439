// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <bit>
#include <concepts>
#include <cstdint>
#include <type_traits>
#if defined(__AVX512BF16__)
#include <immintrin.h>
#endif

#include <unmask/config.hpp>
#include <unmask/cpu/simd.hpp>
#include <unmask/tensor/float_types.hpp>

// The products of tiles that stay in cache, C = A · B: everything else in this folder exists to feed them.

// nvcc passes the pragmas that unroll loops on to the host's compiler, but warns that it doesn't know them.
#if defined(__CUDACC__)
#pragma nv_diagnostic push
#pragma nv_diag_suppress 1675
#endif

UNMASK_NAMESPACE_BEGIN
namespace detail {

// The rows of a block of sums that is kept in registers, two vectors wide: 8 × 2 of the 32 registers of AVX-512, 6 × 2
// of 16 otherwise. More spill, fewer don't hide the latency of an addition.
inline constexpr int block_rows = lanes == 16 ? 8 : 6;

// How packed elements are multiplied. Both are 32 bits wide, so that tiles have one layout for all storage types.
struct float_products {
    using element = float;
    static constexpr int depth = 1;                            // numbers in an element
    static constexpr std::uint32_t exponents[] = {0x7f800000}; // the bits of each, all set where it isn't finite
    static void clear(float* row, index_t count, index_t /*number*/) { std::fill_n(row, count, 0.0F); }
    static vfloat multiply_add(vfloat sum, float left, const float* right) {
        return detail::multiply_add(broadcast(left), load(right), sum);
    }
};

#if defined(__AVX512BF16__)
// Pairs of bfloat16 that lie beside each other along the depth of the product, the first in the low half: twice the
// work an instruction. Products are exact, sums are float.
struct bfloat16_products {
    using element = std::uint32_t;
    static constexpr int depth = 2;
    static constexpr std::uint32_t exponents[] = {0x00007f80, 0x7f800000};
    static void clear(std::uint32_t* row, index_t count, index_t number) {
        for (index_t i = 0; i < count; ++i) {
            row[i] &= number == 0 ? 0xffff0000 : 0x0000ffff;
        }
    }
    static vfloat multiply_add(vfloat sum, std::uint32_t left, const std::uint32_t* right) {
        return _mm512_dpbf16_ps(sum, std::bit_cast<__m512bh>(_mm512_set1_epi32(static_cast<int>(left))),
                                std::bit_cast<__m512bh>(_mm512_loadu_si512(right)));
    }
};
#endif

// How scores are computed from stored numbers: forward, backward and received alike, or they would not agree on them.
template <class T>
#if defined(__AVX512BF16__)
using score_products = std::conditional_t<std::same_as<T, bfloat16>, bfloat16_products, float_products>;
#else
using score_products = float_products;
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

// Where the sums go.
struct sums_tile {
    float* data;
    index_t stride;
    const float* rescale = nullptr; // a factor a row for what is there already; none: 1
};

// A pointer that the compiler knows nothing about. Without this g++ computes the addresses of all rows of sums once and
// carries them through the loop, for which there are not enough registers.
inline float* opaque(float* pointer) {
    asm("" : "+r"(pointer));
    return pointer;
}

// Rows × Vectors registers of sums. The loops must be unrolled whole: otherwise g++ 12 keeps the sums on the stack, and
// the product runs at an eighth of its speed.
template <class Products, bool Accumulate, int Rows, int Vectors, bool Transposed>
inline void multiply_block(index_t depth, left_factor<typename Products::element, Transposed> a,
                           const typename Products::element* b, index_t b_stride, sums_tile c) {
    vfloat sums[Rows][Vectors]{};
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
    float* to = opaque(c.data);
#pragma GCC unroll 16
    for (int row = 0; row < Rows; ++row) {
        // What was there is added at the end: loaded first, it would be waited for before the first product.
        const vfloat before = broadcast(c.rescale != nullptr ? c.rescale[row] : 1.0F);
#pragma GCC unroll 16
        for (int v = 0; v < Vectors; ++v) {
            store(to + v * lanes, Accumulate ? load(to + v * lanes) * before + sums[row][v] : sums[row][v]);
        }
        to += c.stride;
    }
}

// The rows in blocks of Rows, what is left over in blocks of half that size, and so on.
template <class Products, bool Accumulate, int Rows, int Vectors, bool Transposed, class Between>
inline void multiply_rows(index_t rows, index_t depth, left_factor<typename Products::element, Transposed> a,
                          const typename Products::element* b, index_t b_stride, sums_tile c, Between& between) {
    for (; rows >= Rows; rows -= Rows) {
        between();
        multiply_block<Products, Accumulate, Rows, Vectors>(depth, a, b, b_stride, c);
        a.data = a.row(Rows);
        c.data += Rows * c.stride;
        c.rescale = c.rescale != nullptr ? c.rescale + Rows : nullptr;
    }
    if constexpr (Rows > 1) {
        if (rows > 0) {
            multiply_rows<Products, Accumulate, Rows / 2, Vectors>(rows, depth, a, b, b_stride, c, between);
        }
    }
}

enum class product { overwrites, accumulates };

struct nothing {
    void operator()() const {}
};

// C = A · B or C += A · B. columns is a multiple of `lanes`, depth counts elements. Each sum runs over the depth in
// order, whatever the size of the tile, so results don't depend on how the work is cut. Not inlined: it is long, and
// compiled once for every place that calls it. `between` is called before each block.
template <class Products, product Kind, bool Transposed, class Between = nothing>
[[gnu::noinline]] inline void multiply(index_t rows, index_t columns, index_t depth,
                                       left_factor<typename Products::element, Transposed> a,
                                       const typename Products::element* b, index_t b_stride, sums_tile c,
                                       Between&& between = {}) {
    constexpr bool accumulate = Kind == product::accumulates;
    for (; columns >= 2 * lanes; columns -= 2 * lanes) {
        multiply_rows<Products, accumulate, block_rows, 2>(rows, depth, a, b, b_stride, c, between);
        b += 2 * lanes;
        c.data += 2 * lanes;
    }
    if (columns > 0) {
        multiply_rows<Products, accumulate, block_rows, 1>(rows, depth, a, b, b_stride, c, between);
    }
}

} // namespace detail
UNMASK_NAMESPACE_END

#if defined(__CUDACC__)
#pragma nv_diagnostic pop
#endif
