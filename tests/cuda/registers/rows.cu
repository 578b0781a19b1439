// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <unmask/cuda/rows/row_chunk_kernel.cuh>
#include <unmask/cuda/rows/row_kernel.cuh>
#include <unmask/sampler/device_logits_stream.cuh>
#include <unmask/tensor/float_types.hpp>

namespace cuda = unmask::detail::cuda;

template __global__ void cuda::chunk_kernel<false, unmask::bfloat16>(cuda::chunk_parameters<unmask::bfloat16>);
template __global__ void
    cuda::row_kernel<unmask::detail::row_reading::draw, unmask::bfloat16>(cuda::row_parameters<unmask::bfloat16>);
template __global__ void cuda::stream_end_kernel<unmask::detail::row_reading::draw>(cuda::stream_end_parameters);
