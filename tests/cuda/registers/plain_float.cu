// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <unmask/cuda/attention/plain_forward_kernel.cuh>
#include <unmask/cuda/attention/plain_received_kernel.cuh>
#include <unmask/cuda/attention/split_states.cuh>
#include <unmask/mask/block.hpp>
#include <unmask/mask/detail/keys_from.hpp>
#include <unmask/sink/no_sink.hpp>

namespace kernels = unmask::detail::cuda;

template __global__ void kernels::plain_forward_kernel(
    kernels::plain_forward_parameters<float, unmask::detail::keys_from<unmask::block>, unmask::no_sink>);
template __global__ void kernels::plain_received_kernel(
    kernels::received_parameters<float, unmask::detail::keys_from<unmask::block>>);
template __global__ void kernels::merge_kernel(kernels::merge_parameters<float>);
extern "C" __device__ int plain_forward_kernel_asks = kernels::plain_forward_memory::bytes;
extern "C" __device__ int plain_received_kernel_asks = kernels::plain_received_memory::bytes;
