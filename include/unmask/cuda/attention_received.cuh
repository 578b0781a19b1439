// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <concepts>
#include <type_traits>

#include <unmask/config.hpp>
#include <unmask/cuda/executor.cuh>
#include <unmask/cuda/launch_plan.cuh>
#include <unmask/cuda/plain_received_kernel.cuh>
#include <unmask/cuda/received_kernel.cuh>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/tensor/attention_call.hpp>

// What keys receive, on CUDA: which kernel.

UNMASK_NAMESPACE_BEGIN
namespace detail {
namespace gpu {

// The kernel that the call runs on, and what it needs.
template <class Parameters>
struct received_launch {
    void (*kernel)(Parameters);
    int threads;
    int shared_bytes;
};

template <class T, mask_policy Mask, int... HeadDims>
received_launch<received_parameters<T, Mask>> received_launch_of(const kernel_call<T>& call,
                                                                 head_dims<HeadDims...> /*kernels*/) {
    received_launch<received_parameters<T, Mask>> launch{&plain_received_kernel<T, Mask>, plain_threads,
                                                         plain_received_memory<Mask>::bytes};
    if constexpr (!std::same_as<T, float>) {
        const device_properties gpu = device_properties::current();
        const auto take = [&]<int HeadDim>(std::integral_constant<int, HeadDim>) {
            constexpr int bytes = received_memory<HeadDim, Mask>::bytes;
            const bool fits = call.head_dim <= HeadDim && bytes <= gpu.shared_bytes_a_block &&
                              has_tensor_cores(&received_kernel<HeadDim, T, Mask>);
            if (fits) {
                launch = {&received_kernel<HeadDim, T, Mask>, received_threads, bytes};
            }
            return fits;
        };
        (void)(copies_16_bytes(call) && (take(std::integral_constant<int, HeadDims>{}) || ...));
    }
    return launch;
}

} // namespace gpu

template <std::derived_from<cuda_executor> Executor, class T, mask_policy Mask>
void received_on(const Executor& exec, const attention_call<T>& call, const tensor_view<float, 3>& received,
                 const Mask& mask) {
    gpu::for_each_launch("attention_received", call, [&](const gpu::kernel_call<T>& part, index_t first) {
        const auto& [sequence, head, position] = received.strides;
        const gpu::row_values to{received.data + first * sequence, sequence, head, position};
        const auto kernel = gpu::received_launch_of<T, Mask>(part, typename Executor::kernels{});
        const int blocks =
            part.sequences * part.kv_heads * part.group * gpu::tiles_of(part.key_length, gpu::received_size);
        launch(kernel.kernel, blocks, kernel.threads, static_cast<std::size_t>(kernel.shared_bytes), exec.stream,
               gpu::received_parameters<T, Mask>{part, to, mask});
    });
}

} // namespace detail
UNMASK_NAMESPACE_END
