// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include <unmask/attention/attention.cuh>
#include <unmask/attention/attention.hpp>
#include <unmask/sink/key_sink.hpp>
#include <unmask/sink/key_value_sink.hpp>
#include <unmask/sink/logit_sink.hpp>
#include <unmask/sink/no_sink.hpp>
#include <unmask/sink/off_by_one_sink.hpp>

#include "../../attention/any_mask.hpp"
#include "device_calls.hpp"

namespace test {

template <class T, class Mask, class Sink>
void device_calls<T, Mask, Sink>::forward(const cuda_executor& exec, const attention_tensors<T>& tensors,
                                          const Mask& mask, const Sink& sink, const attention_options& options) {
    attention_forward(exec, tensors, mask, sink, options);
}

template <class T, class Mask, class Sink>
void device_calls<T, Mask, Sink>::received(const cuda_executor& exec, const attention_tensors<T>& tensors,
                                           const tensor_view<float, 3>& received, const Mask& mask, const Sink& sink,
                                           const attention_options& options) {
    attention_received(exec, tensors, received, mask, sink, options);
}

template <class T, class Mask, class Sink, class Executor>
void device_gradients<T, Mask, Sink, Executor>::backward(const Executor& exec, const attention_tensors<T>& tensors,
                                                         const attention_gradients<T>& gradients, const Mask& mask,
                                                         const Sink& sink, const attention_options& options) {
    attention_backward(exec, tensors, gradients, mask, sink, options);
}

} // namespace test
