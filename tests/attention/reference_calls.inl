// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include <unmask/attention/reference.hpp>

#include "calls.hpp"

namespace test {

template <class Real, class T, class Mask, class Sink>
void reference_calls<Real, T, Mask, Sink>::forward(const attention_tensors<T>& tensors, const Mask& mask,
                                                   const Sink& sink, const attention_options& options) {
    reference::attention_forward<Real>(tensors, mask, sink, options);
}

template <class Real, class T, class Mask, class Sink>
void reference_calls<Real, T, Mask, Sink>::backward(const attention_tensors<T>& tensors,
                                                    const attention_gradients<T>& gradients, const Mask& mask,
                                                    const Sink& sink, const attention_options& options) {
    reference::attention_backward<Real>(tensors, gradients, mask, sink, options);
}

template <class Real, class T, class Mask, class Sink>
void reference_calls<Real, T, Mask, Sink>::received(const attention_tensors<T>& tensors,
                                                    const tensor_view<sum_type<T>, 3>& received, const Mask& mask,
                                                    const Sink& sink, const attention_options& options) {
    reference::attention_received<Real>(tensors, received, mask, sink, options);
}

} // namespace test
