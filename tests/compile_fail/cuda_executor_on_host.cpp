// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expected-error: cuda_executor needs nvcc: include <unmask/unmask.cuh> in a .cu file
// expected-errors: 1
#include <unmask/attention/attention.hpp>
#include <unmask/mask/causal.hpp>

void call(const unmask::cuda_executor& exec, const unmask::attention_tensors<float>& tensors) {
    unmask::attention_forward(exec, tensors, unmask::causal{});
}
