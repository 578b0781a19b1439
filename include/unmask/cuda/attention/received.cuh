// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <concepts>
#include <cstddef>
#include <type_traits>

#include <unmask/config.hpp>
#include <unmask/cuda/attention/launch_plan.cuh>
#include <unmask/cuda/attention/plain_received_kernel.cuh>
#include <unmask/cuda/attention/received_kernel.cuh>
#include <unmask/cuda/runtime/work_stream.cuh>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/tensor/attention_call.hpp>

// What keys receive, on CUDA: which kernel.

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

// The kernel that the call runs on, and what it needs.
template <class Parameters>
struct received_launch {
    void (*kernel)(Parameters);
    int threads;
    int shared_bytes;
};

template <class T, mask_policy Mask, template <int...> class List, int... HeadDims>
received_launch<received_parameters<T, Mask>> received_launch_of(const kernel_call<T>& call,
                                                                 List<HeadDims...> /*kernels*/) {
    received_launch<received_parameters<T, Mask>> launch{&plain_received_kernel<T, Mask>, plain_threads,
                                                         plain_received_memory::bytes};
    if constexpr (!std::same_as<T, float>) {
        const device_properties gpu = device_properties::current();
        const auto take = [&]<int HeadDim>(std::integral_constant<int, HeadDim>) {
            constexpr int bytes = received_memory<HeadDim>::bytes;
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

// Enqueues the column sums, on kernels for these head dimensions.
template <class T, mask_policy Mask, class HeadDims>
void run_received(const work_stream& work, const attention_call<T>& call, const tensor_view<float, 3>& received,
                  const Mask& mask, HeadDims kernels) {
    for_each_launch("attention_received", call, [&](const kernel_call<T>& part, index_t first) {
        const auto& [sequence, head, position] = received.strides;
        const row_values to{received.data + first * sequence, sequence, head, position};
        const auto kernel = received_launch_of<T, Mask>(part, kernels);
        const int blocks = part.sequences * part.kv_heads * part.group * tiles_of(part.key_length, received_size);
        launch(kernel.kernel, blocks, kernel.threads, static_cast<std::size_t>(kernel.shared_bytes), work.stream,
               received_parameters<T, Mask>{part, to, mask});
    });
}

} // namespace detail::cuda
UNMASK_NAMESPACE_END
