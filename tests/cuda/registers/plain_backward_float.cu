// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <unmask/cuda/attention/backward_rows_kernel.cuh>
#include <unmask/cuda/attention/plain_backward_keys_kernel.cuh>
#include <unmask/cuda/attention/plain_backward_queries_kernel.cuh>
#include <unmask/mask/block.hpp>
#include <unmask/mask/detail/keys_from.hpp>
#include <unmask/sink/key_value_sink.hpp>

namespace kernels = unmask::detail::cuda;

template __global__ void kernels::backward_rows_kernel(
    kernels::backward_rows_parameters<float, unmask::key_value_sink>);
template __global__ void kernels::sink_gradient_kernel(kernels::sink_gradient_parameters);
template __global__ void kernels::plain_backward_keys_kernel(
    kernels::plain_backward_parameters<float, unmask::detail::keys_from<unmask::block>>);
template __global__ void kernels::plain_backward_queries_kernel(
    kernels::plain_backward_parameters<float, unmask::detail::keys_from<unmask::block>>);
extern "C" __device__ int backward_rows_kernel_asks = kernels::backward_rows_bytes;
extern "C" __device__ int plain_backward_keys_kernel_asks = kernels::plain_backward_keys_memory::bytes;
extern "C" __device__ int plain_backward_queries_kernel_asks = kernels::plain_backward_queries_memory::bytes;
