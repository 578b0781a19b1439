// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cblas.h>

#include "matrix.hpp"

namespace examples {

namespace detail {
inline void gemm(CBLAS_TRANSPOSE transpose_a, const_matrix a, CBLAS_TRANSPOSE transpose_b, const_matrix b, float beta,
                 matrix c) {
    const index_t inner = transpose_a == CblasNoTrans ? a.extents[1] : a.extents[0];
    const auto narrow = [](index_t value) { return static_cast<blasint>(value); };
    cblas_sgemm(CblasRowMajor, transpose_a, transpose_b, narrow(c.extents[0]), narrow(c.extents[1]), narrow(inner),
                1.0F, a.data, narrow(a.strides[0]), b.data, narrow(b.strides[0]), beta, c.data, narrow(c.strides[0]));
}
} // namespace detail

/// output = input · weight
inline void multiply(const_matrix input, const_matrix weight, matrix output) {
    detail::gemm(CblasNoTrans, input, CblasNoTrans, weight, 0.0F, output);
}

/// output += input · weightᵀ
inline void add_product_transposed(const_matrix input, const_matrix weight, matrix output) {
    detail::gemm(CblasNoTrans, input, CblasTrans, weight, 1.0F, output);
}

/// output += input · weight
inline void add_product(const_matrix input, const_matrix weight, matrix output) {
    detail::gemm(CblasNoTrans, input, CblasNoTrans, weight, 1.0F, output);
}

/// The two gradients of output = input · weight: the input's is overwritten, the weight's is added to.
inline void multiply_backward(const_matrix input, const_matrix weight, const_matrix d_output, matrix d_input,
                              matrix d_weight) {
    detail::gemm(CblasNoTrans, d_output, CblasTrans, weight, 0.0F, d_input);
    detail::gemm(CblasTrans, input, CblasNoTrans, d_output, 1.0F, d_weight);
}

/// Matrix products run on the thread that asks for them: whoever asks gives each of its threads rows of its own.
inline void use_one_blas_thread() {
    openblas_set_num_threads(1);
}

} // namespace examples
