// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/cpu/simd.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// The left factor of a product: element (row, depth) is data[row * row_stride + depth * depth_stride], so that a
// transposed factor needs no copy.
struct left_factor {
    const float* data;
    index_t row_stride;
    index_t depth_stride;
};

// Rows × Vectors registers of sums. The loops must be unrolled whole: otherwise g++ 12 keeps the sums on the stack, and
// the product runs at an eighth of its speed.
template <int Rows, int Vectors>
inline void multiply_registers(index_t depth, left_factor a, const float* b, index_t b_stride, float* c,
                               index_t c_stride, bool accumulate) {
    vfloat sums[Rows][Vectors];
#pragma GCC unroll 16
    for (int row = 0; row < Rows; ++row) {
#pragma GCC unroll 16
        for (int v = 0; v < Vectors; ++v) {
            sums[row][v] = accumulate ? load(c + row * c_stride + v * lanes) : vfloat{};
        }
    }
    for (index_t k = 0; k < depth; ++k) {
        vfloat right[Vectors];
#pragma GCC unroll 16
        for (int v = 0; v < Vectors; ++v) {
            right[v] = load(b + k * b_stride + v * lanes);
        }
#pragma GCC unroll 16
        for (int row = 0; row < Rows; ++row) {
            const vfloat left = broadcast(a.data[row * a.row_stride + k * a.depth_stride]);
#pragma GCC unroll 16
            for (int v = 0; v < Vectors; ++v) {
                sums[row][v] += left * right[v];
            }
        }
    }
#pragma GCC unroll 16
    for (int row = 0; row < Rows; ++row) {
#pragma GCC unroll 16
        for (int v = 0; v < Vectors; ++v) {
            store(c + row * c_stride + v * lanes, sums[row][v]);
        }
    }
}

// The rows left over at the bottom: 1 to Rows of them.
template <int Rows, int Vectors>
inline void multiply_rows(index_t rows, index_t depth, left_factor a, const float* b, index_t b_stride, float* c,
                          index_t c_stride, bool accumulate) {
    if constexpr (Rows > 1) {
        if (rows < Rows) {
            multiply_rows<Rows - 1, Vectors>(rows, depth, a, b, b_stride, c, c_stride, accumulate);
            return;
        }
    }
    multiply_registers<Rows, Vectors>(depth, a, b, b_stride, c, c_stride, accumulate);
}

template <int Vectors>
inline void multiply_columns(index_t rows, index_t depth, left_factor a, const float* b, index_t b_stride, float* c,
                             index_t c_stride, bool accumulate) {
    constexpr int block = lanes == 16 ? 8 : 6; // 32 registers with AVX-512, 16 otherwise
    for (index_t row = 0; row < rows; row += block) {
        multiply_rows<block, Vectors>(rows - row < block ? rows - row : block, depth,
                                      {a.data + row * a.row_stride, a.row_stride, a.depth_stride}, b, b_stride,
                                      c + row * c_stride, c_stride, accumulate);
    }
}

// C = A · B, or C += A · B, for tiles that stay in cache. columns is a multiple of `lanes`; the sums run over depth in
// order, whatever the size of the tile, so results don't depend on how the work is cut.
inline void multiply(index_t rows, index_t columns, index_t depth, left_factor a, const float* b, index_t b_stride,
                     float* c, index_t c_stride, bool accumulate) {
    index_t column = 0;
    for (; column + 2 * lanes <= columns; column += 2 * lanes) {
        multiply_columns<2>(rows, depth, a, b + column, b_stride, c + column, c_stride, accumulate);
    }
    if (column < columns) {
        multiply_columns<1>(rows, depth, a, b + column, b_stride, c + column, c_stride, accumulate);
    }
}

} // namespace detail
UNMASK_NAMESPACE_END
