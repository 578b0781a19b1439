// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <unmask/cuda/attention/forward_kernel.cuh>
#include <unmask/mask/block.hpp>
#include <unmask/mask/detail/keys_from.hpp>
#include <unmask/sink/no_sink.hpp>
#include <unmask/tensor/float_types.hpp>

namespace kernels = unmask::detail::cuda;

template __global__ void kernels::forward_kernel<kernels::wide_plan<96>, unmask::bfloat16>(
    kernels::forward_parameters<unmask::bfloat16, unmask::detail::keys_from<unmask::block>, unmask::no_sink>);
extern "C" __device__ int forward_kernel_asks = kernels::forward_memory<kernels::wide_plan<96>>::bytes;
