// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <unmask/attention/attention.cuh>
#include <unmask/attention/attention.hpp>
#include <unmask/mask/causal.hpp>

void call(const unmask::attention_tensors<float>& tensors, const unmask::attention_gradients<float>& gradients) {
    unmask::attention_forward(unmask::cuda_executor{}, tensors, unmask::causal{});
    unmask::attention_backward(unmask::cpu_executor{}, tensors, gradients, unmask::causal{});
}
