// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <concepts>

#include <unmask/attention/attention.hpp>
#include <unmask/attention/attention_backend.hpp>
#include <unmask/config.hpp>
#include <unmask/cuda/attention/backward.cuh>
#include <unmask/cuda/attention/forward.cuh>
#include <unmask/cuda/attention/received.cuh>
#include <unmask/executor/cuda_executor.cuh>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/sink/sink_policy.hpp>
#include <unmask/tensor/attention_call.hpp>
#include <unmask/tensor/tensor_view.hpp>

UNMASK_NAMESPACE_BEGIN

/// Attention on the GPU: with this header included, attention_forward, attention_backward and attention_received accept
/// a cuda_executor.
template <std::derived_from<cuda_executor> Executor>
struct attention_backend<Executor> {
    /// Enqueues the forward pass on exec.stream.
    template <class T, mask_policy Mask, sink_policy Sink>
    static void forward(const Executor& exec, const attention_call<T>& call, const Mask& mask, const Sink& sink) {
        detail::cuda::run_forward(detail::cuda::work_on(exec), call, mask, sink, typename Executor::kernels{});
    }
    /// Enqueues the gradients on exec.stream.
    template <class T, mask_policy Mask, sink_policy Sink>
    static void backward(const Executor& exec, const attention_call<T>& call,
                         const attention_call_gradients<T>& gradients, const Mask& mask, const Sink& sink) {
        detail::cuda::run_backward<Executor::deterministic>(detail::cuda::work_on(exec), call, gradients, mask, sink,
                                                            typename Executor::kernels{});
    }
    /// Enqueues the column sums of the probability matrix on exec.stream.
    template <class T, mask_policy Mask>
    static void received(const Executor& exec, const attention_call<T>& call, const tensor_view<float, 3>& received,
                         const Mask& mask) {
        detail::cuda::run_received(detail::cuda::work_on(exec), call, received, mask, typename Executor::kernels{});
    }
};

UNMASK_NAMESPACE_END
