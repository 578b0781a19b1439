// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <unmask/cuda/received_kernel.cuh>
#include <unmask/mask/block.hpp>
#include <unmask/tensor/float_types.hpp>

namespace gpu = unmask::detail::gpu;

template __global__ void gpu::received_kernel<64>(gpu::received_parameters<unmask::bfloat16, unmask::block>);
