// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expected-error: storage_type
// expected-errors: 1
#include <unmask/attention/attention.hpp>
#include <unmask/mask/causal.hpp>

void call(const unmask::attention_tensors<double>& tensors) { // double is for the reference
    unmask::attention_forward(unmask::cpu_executor{}, tensors, unmask::causal{});
}
