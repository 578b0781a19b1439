// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <unmask/cuda/attention/backward_keys_kernel.cuh>
#include <unmask/cuda/attention/query_sums.cuh>
#include <unmask/mask/block.hpp>
#include <unmask/tensor/float_types.hpp>

namespace kernels = unmask::detail::cuda;
using plan = kernels::with_query_sums<kernels::backward_keys_plan<64>>;

template __global__ void kernels::backward_keys_kernel<plan>(
    kernels::backward_parameters<unmask::bfloat16, unmask::block>);
extern "C" __device__ int backward_keys_kernel_asks = kernels::backward_keys_memory<plan>::bytes;

template __global__ void kernels::query_gradients_kernel<plan>(kernels::backward_call<unmask::bfloat16>);
