// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <unmask/cuda/rows/row_chunk_kernel.cuh>
#include <unmask/cuda/rows/row_kernel.cuh>
#include <unmask/numeric/detail/row_sums.hpp>

namespace cuda = unmask::detail::cuda;

template __global__ void cuda::chunk_kernel<true, float>(cuda::chunk_parameters<float>);
template __global__ void cuda::row_kernel<unmask::detail::row_reading::tempered_draw, float>(cuda::row_parameters<float>);
