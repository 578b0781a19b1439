// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <unmask/cuda/attention/plain_forward_kernel.cuh>
#include <unmask/cuda/attention/plain_received_kernel.cuh>
#include <unmask/cuda/attention/split_states.cuh>
#include <unmask/mask/block.hpp>
#include <unmask/sink/no_sink.hpp>

namespace cuda = unmask::detail::cuda;

template __global__ void cuda::plain_forward_kernel(
    cuda::plain_forward_parameters<float, unmask::block, unmask::no_sink>);
template __global__ void cuda::plain_received_kernel(cuda::received_parameters<float, unmask::block>);
template __global__ void cuda::merge_kernel(cuda::merge_parameters<float>);
