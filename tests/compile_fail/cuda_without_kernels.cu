// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expected-error: unmask: attention on cuda_executor needs #include <unmask/attention/attention.cuh>
// expected-errors: 1
#include <unmask/attention/attention.hpp>
#include <unmask/executor/cuda_executor.cuh>
#include <unmask/mask/causal.hpp>

void call(const unmask::attention_tensors<float>& tensors) {
    unmask::attention_forward(unmask::cuda_executor{}, tensors, unmask::causal{});
}
