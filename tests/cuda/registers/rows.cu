// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <unmask/cuda/row_chunk_kernel.cuh>
#include <unmask/cuda/row_kernel.cuh>
#include <unmask/cuda/row_stream.cuh>
#include <unmask/tensor/float_types.hpp>

namespace gpu = unmask::detail::gpu;

template __global__ void gpu::chunk_kernel<false, unmask::bfloat16>(gpu::chunk_parameters<unmask::bfloat16>);
template __global__ void
    gpu::row_kernel<unmask::detail::row_reading::draw, unmask::bfloat16>(gpu::row_parameters<unmask::bfloat16>);
template __global__ void gpu::stream_end_kernel<unmask::detail::row_reading::draw>(gpu::stream_end_parameters);
