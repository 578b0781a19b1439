// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <unmask/cuda/rows/row_filter_kernel.cuh>
#include <unmask/tensor/float_types.hpp>

namespace kernels = unmask::detail::cuda;

template __global__ void kernels::filter_kernel<unmask::bfloat16>(kernels::filter_parameters<unmask::bfloat16>);
extern "C" __device__ int filter_kernel_asks = sizeof(kernels::filter_memory);
