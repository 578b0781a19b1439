// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expected-errors: 1
// expected-error: attention_backward does not run on cuda_executor yet
// expected-errors: 1
#include <unmask/attention/attention.hpp>
#include <unmask/executor/cuda_executor.cuh>
#include <unmask/mask/causal.hpp>

void call(const unmask::attention_tensors<float>& tensors, const unmask::attention_gradients<float>& gradients) {
    unmask::attention_backward(unmask::cuda_executor{}, tensors, gradients, unmask::causal{});
}
