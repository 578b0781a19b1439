// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/cuda/rows/row_kernel.cuh>
#include <unmask/executor/cuda_executor.cuh>
#include <unmask/numeric/row_statistics.hpp>
#include <unmask/numeric/token_filter.hpp>
#include <unmask/tensor/tensor_view.hpp>

namespace test {

using namespace unmask;

// The library's reading of rows on cuda_executor. Instantiated in kernels.cpp, which nvcc takes long for.
template <class Logit>
struct device_rows {
    static void read(const cuda_executor& exec, const tensor_view<const Logit, 2>& logits, int suppressed,
                     const int* count, const detail::row_rule& rule, const double* uniforms,
                     detail::cuda::row_outcome* outcomes);
    static void read_filtered(const cuda_executor& exec, const tensor_view<const Logit, 2>& logits, int suppressed,
                              const int* count, const detail::row_rule& rule, const detail::token_filter& filter,
                              const double* uniforms, detail::cuda::row_outcome* outcomes);
    static void statistics(const cuda_executor& exec, const tensor_view<const Logit, 2>& logits,
                           row_statistics* results);
};

} // namespace test
