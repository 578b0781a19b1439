// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expected-error: unmask: the first argument must be an executor
// expected-errors: 1
#include <unmask/attention/attention.hpp>
#include <unmask/mask/causal.hpp>

void call(const unmask::attention_tensors<float>& tensors) {
    unmask::attention_forward(2, tensors, unmask::causal{});
}
