// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <unmask/cuda/forward_kernel.cuh>
#include <unmask/mask/block.hpp>
#include <unmask/sink/no_sink.hpp>
#include <unmask/tensor/float_types.hpp>

namespace gpu = unmask::detail::gpu;

template __global__ void gpu::forward_kernel<gpu::wide_plan<192>, unmask::bfloat16>(
    gpu::forward_parameters<unmask::bfloat16, unmask::block, unmask::no_sink>);
