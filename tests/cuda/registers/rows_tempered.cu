// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <unmask/cuda/rows/row_chunk_kernel.cuh>
#include <unmask/cuda/rows/row_kernel.cuh>
#include <unmask/numeric/detail/row_sums.hpp>

namespace kernels = unmask::detail::cuda;

template __global__ void kernels::chunk_kernel<true, float>(kernels::chunk_parameters<float>);
template __global__ void kernels::row_kernel<unmask::detail::row_reading::tempered_draw, float>(
    kernels::row_parameters<float>);
extern "C" __device__ int row_kernel_asks = sizeof(kernels::row_memory);
