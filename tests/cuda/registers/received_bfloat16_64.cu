// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <unmask/cuda/attention/received_kernel.cuh>
#include <unmask/mask/block.hpp>
#include <unmask/tensor/float_types.hpp>

namespace cuda = unmask::detail::cuda;

template __global__ void cuda::received_kernel<64>(cuda::received_parameters<unmask::bfloat16, unmask::block>);
