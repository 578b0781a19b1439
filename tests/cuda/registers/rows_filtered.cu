// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <unmask/cuda/row_filter_kernel.cuh>
#include <unmask/tensor/float_types.hpp>

namespace gpu = unmask::detail::gpu;

template __global__ void gpu::filter_kernel<unmask::bfloat16>(gpu::filter_parameters<unmask::bfloat16>);
