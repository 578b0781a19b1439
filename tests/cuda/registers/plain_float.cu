// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <unmask/cuda/plain_forward_kernel.cuh>
#include <unmask/cuda/plain_received_kernel.cuh>
#include <unmask/cuda/split_states.cuh>
#include <unmask/mask/block.hpp>
#include <unmask/sink/no_sink.hpp>

namespace gpu = unmask::detail::gpu;

template __global__ void gpu::plain_forward_kernel(
    gpu::plain_forward_parameters<float, unmask::block, unmask::no_sink>);
template __global__ void gpu::plain_received_kernel(gpu::received_parameters<float, unmask::block>);
template __global__ void gpu::merge_kernel(gpu::merge_parameters<float>);
