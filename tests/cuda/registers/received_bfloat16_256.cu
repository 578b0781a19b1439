// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <unmask/cuda/attention/received_kernel.cuh>
#include <unmask/mask/block.hpp>
#include <unmask/mask/detail/keys_from.hpp>
#include <unmask/tensor/float_types.hpp>

namespace kernels = unmask::detail::cuda;

template __global__ void kernels::received_kernel<256>(
    kernels::received_parameters<unmask::bfloat16, unmask::detail::keys_from<unmask::block>>);
extern "C" __device__ int received_kernel_asks = kernels::received_memory<256>::bytes;
