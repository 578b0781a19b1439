// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <unmask/cuda/row_chunk_kernel.cuh>
#include <unmask/cuda/row_kernel.cuh>
#include <unmask/tensor/row_sums.hpp>

namespace gpu = unmask::detail::gpu;

template __global__ void gpu::chunk_kernel<true, float>(gpu::chunk_parameters<float>);
template __global__ void gpu::row_kernel<unmask::detail::row_reading::tempered_draw, float>(gpu::row_parameters<float>);
