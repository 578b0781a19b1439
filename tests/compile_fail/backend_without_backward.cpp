// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expected-error: unmask: the attention_backend of this executor has no backward
// expected-errors: 1
#include <unmask/attention/attention.hpp>
#include <unmask/mask/causal.hpp>

struct accelerator {};

template <>
struct unmask::attention_backend<accelerator> {
    static void forward(const accelerator&, const auto& /*call*/, const auto& /*mask*/, const auto& /*sink*/) {}
    static void received(const accelerator&, const auto& /*call*/, const auto& /*received*/, const auto& /*mask*/) {}
};

void call(const unmask::attention_tensors<float>& tensors, const unmask::attention_gradients<float>& gradients) {
    unmask::attention_backward(accelerator{}, tensors, gradients, unmask::causal{});
}
