// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <unmask/cuda/rows/row_chunk_kernel.cuh>
#include <unmask/cuda/rows/row_kernel.cuh>
#include <unmask/sampler/device_logits_stream.cuh>
#include <unmask/tensor/float_types.hpp>

namespace kernels = unmask::detail::cuda;

template __global__ void kernels::chunk_kernel<false, unmask::bfloat16>(kernels::chunk_parameters<unmask::bfloat16>);
template __global__ void kernels::row_kernel<unmask::detail::row_reading::draw, unmask::bfloat16>(
    kernels::row_parameters<unmask::bfloat16>);
template __global__ void kernels::stream_end_kernel<unmask::detail::row_reading::draw>(kernels::stream_end_parameters);
extern "C" __device__ int row_kernel_asks = sizeof(kernels::row_memory);
extern "C" __device__ int stream_end_kernel_asks = 2 * unmask::detail::chunk_size * sizeof(float);
