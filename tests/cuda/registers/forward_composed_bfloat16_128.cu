// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <unmask/cuda/attention/forward_kernel.cuh>
#include <unmask/mask/causal.hpp>
#include <unmask/mask/detail/keys_from.hpp>
#include <unmask/mask/logic.hpp>
#include <unmask/mask/sliding_window.hpp>
#include <unmask/sink/off_by_one_sink.hpp>
#include <unmask/tensor/float_types.hpp>

namespace kernels = unmask::detail::cuda;
using causal_window = unmask::detail::keys_from<unmask::mask_and<unmask::causal, unmask::sliding_window>>;

template __global__ void kernels::forward_kernel<kernels::wide_plan<128>, unmask::bfloat16>(
    kernels::forward_parameters<unmask::bfloat16, causal_window, unmask::off_by_one_sink>);
extern "C" __device__ int forward_kernel_asks = kernels::forward_memory<kernels::wide_plan<128>>::bytes;
