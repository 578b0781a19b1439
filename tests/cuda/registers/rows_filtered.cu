// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <unmask/cuda/rows/row_filter_kernel.cuh>
#include <unmask/tensor/float_types.hpp>

namespace cuda = unmask::detail::cuda;

template __global__ void cuda::filter_kernel<unmask::bfloat16>(cuda::filter_parameters<unmask::bfloat16>);
