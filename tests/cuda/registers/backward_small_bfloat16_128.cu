// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <unmask/cuda/attention/backward_keys_kernel.cuh>
#include <unmask/cuda/attention/backward_queries_kernel.cuh>
#include <unmask/mask/block.hpp>
#include <unmask/mask/detail/keys_from.hpp>
#include <unmask/tensor/float_types.hpp>

namespace kernels = unmask::detail::cuda;

template __global__ void kernels::backward_keys_kernel<kernels::small_backward_keys_plan<128>>(
    kernels::backward_parameters<unmask::bfloat16, unmask::detail::keys_from<unmask::block>>);
extern "C" __device__ int backward_keys_kernel_asks =
    kernels::backward_keys_memory<kernels::small_backward_keys_plan<128>>::bytes;

template __global__ void kernels::backward_queries_kernel<kernels::small_backward_queries_plan<128>>(
    kernels::backward_parameters<unmask::bfloat16, unmask::detail::keys_from<unmask::block>>);
extern "C" __device__ int backward_queries_kernel_asks =
    kernels::backward_queries_memory<kernels::small_backward_queries_plan<128>>::bytes;
