// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/cpu/attention/backward.hpp>
#include <unmask/cpu/attention/forward.hpp>
#include <unmask/cpu/attention/received.hpp>
#include <unmask/executor/executor.hpp>
#include <unmask/mask/bidirectional.hpp>
#include <unmask/mask/detail/keys_from.hpp>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/sink/no_sink.hpp>
#include <unmask/sink/sink_policy.hpp>
#include <unmask/tensor/attention_call.hpp>
#include <unmask/tensor/tensor_view.hpp>

UNMASK_NAMESPACE_BEGIN

/// Where attention runs for an executor: the place to add an executor of another kind than the library's. Specialise
/// it, with static members as below, which get calls that are checked and complete; `backward` may be left out, and is
/// then a compile error to call. This one, for host executors, runs the kernels for the CPU.
template <class Executor>
struct attention_backend;

/// The kernels for the CPU, on any host executor.
template <host_executor Executor>
struct attention_backend<Executor> {
    /// Writes call.output, and call.log_sum_exp unless it is empty.
    template <class T, mask_policy Mask, sink_policy Sink>
    static void forward(const Executor& exec, const attention_call<T>& call, const Mask& mask, const Sink& sink) {
        detail::forward_on_host(exec, call, detail::mask_from_key(mask, call.key_offset), sink);
    }
    /// Writes the gradients that are not empty.
    template <class T, mask_policy Mask, sink_policy Sink>
    static void backward(const Executor& exec, const attention_call<T>& call,
                         const attention_call_gradients<T>& gradients, const Mask& mask, const Sink& sink) {
        detail::backward_on_host(exec, call, gradients, detail::mask_from_key(mask, call.key_offset), sink);
    }
    /// Writes received, [batch, heads, key_length]. The sink's part is in call.log_sum_exp.
    template <class T, mask_policy Mask>
    static void received(const Executor& exec, const attention_call<T>& call, const tensor_view<float, 3>& received,
                         const Mask& mask) {
        detail::received_on_host(exec, call, received, detail::mask_from_key(mask, call.key_offset));
    }
};

/// An executor that attention runs on: one with an attention_backend.
template <class Executor>
concept attention_executor =
    requires(const Executor& exec, const attention_call<float>& call, const tensor_view<float, 3>& received) {
        attention_backend<Executor>::forward(exec, call, bidirectional{}, no_sink{});
        attention_backend<Executor>::received(exec, call, received, bidirectional{});
    };

/// One that attention_backward runs on as well.
template <class Executor>
concept attention_backward_executor =
    attention_executor<Executor> && requires(const Executor& exec, const attention_call<float>& call,
                                             const attention_call_gradients<float>& gradients) {
        attention_backend<Executor>::backward(exec, call, gradients, bidirectional{}, no_sink{});
    };

namespace detail {

// Whether a call on an executor has all positions of its sequences, and not those of one rank of several.
template <class Executor>
inline constexpr bool has_whole_sequences = true;

// Says what is missing where attention does not run on an executor.
template <class Executor>
constexpr void check_attention_executor() {
    if constexpr (runs_on_cuda<Executor>) {
        static_assert(
            requires { sizeof(Executor); },
            "unmask: cuda_executor needs nvcc: include <unmask/unmask.cuh> in a .cu file");
        if constexpr (requires { sizeof(Executor); }) {
            static_assert(attention_executor<Executor>,
                          "unmask: attention on cuda_executor needs #include <unmask/attention/attention.cuh>");
        }
    } else {
        static_assert(attention_executor<Executor>,
                      "unmask: the first argument must be an executor: cuda_executor, cpu_executor, or your own with "
                      "workers() and parallel_for(tasks, body)");
    }
}

} // namespace detail
UNMASK_NAMESPACE_END
