// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <unmask/cuda/attention/plain_forward_kernel.cuh>
#include <unmask/mask/causal.hpp>
#include <unmask/mask/detail/keys_from.hpp>
#include <unmask/mask/logic.hpp>
#include <unmask/mask/sliding_window.hpp>
#include <unmask/sink/off_by_one_sink.hpp>
#include <unmask/tensor/float_types.hpp>

namespace kernels = unmask::detail::cuda;
using causal_window = unmask::detail::keys_from<unmask::mask_and<unmask::causal, unmask::sliding_window>>;

template __global__ void kernels::plain_forward_kernel(
    kernels::plain_forward_parameters<unmask::bfloat16, causal_window, unmask::off_by_one_sink>);
extern "C" __device__ int plain_forward_kernel_asks = kernels::plain_forward_memory::bytes;
