// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include <unmask/attention/attention.hpp>
#include <unmask/executor/cuda_executor.cuh>
#include <unmask/mask/block_diffusion.hpp>
#include <unmask/mask/document.hpp>
#include <unmask/parallel/attention.cuh>
#include <unmask/sink/key_value_sink.hpp>
#include <unmask/sink/logit_sink.hpp>
#include <unmask/sink/no_sink.hpp>

#include "device_rank_calls.hpp"

namespace test {

inline auto executor_of(const device_rank& on) {
    return cuda_context_parallel(on.hosts, on.gpus, cuda_executor_for<32>(on.stream, on.memory), on.queries, on.keys);
}

template <class T, class Mask, class Sink>
void device_rank_calls<T, Mask, Sink>::forward(const device_rank& on, const attention_tensors<T>& tensors,
                                               const Mask& mask, const Sink& sink, const attention_options& options) {
    attention_forward(executor_of(on), tensors, mask, sink, options);
}

template <class T, class Mask, class Sink>
void device_rank_calls<T, Mask, Sink>::backward(const device_rank& on, const attention_tensors<T>& tensors,
                                                const attention_gradients<T>& gradients, const Mask& mask,
                                                const Sink& sink, const attention_options& options) {
    attention_backward(executor_of(on), tensors, gradients, mask, sink, options);
}

template <class T, class Mask, class Sink>
void device_rank_calls<T, Mask, Sink>::received(const device_rank& on, const attention_tensors<T>& tensors,
                                                const tensor_view<float, 3>& received, const Mask& mask,
                                                const Sink& sink, const attention_options& options) {
    attention_received(executor_of(on), tensors, received, mask, sink, options);
}

} // namespace test
