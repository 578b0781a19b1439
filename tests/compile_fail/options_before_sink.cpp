// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expected-error: unmask: a sink comes before the options: unmask::no_sink{} if there is none
// expected-errors: 1
#include <unmask/attention/attention.hpp>
#include <unmask/mask/causal.hpp>

void misuse(const unmask::attention_tensors<float>& tensors) {
    unmask::attention_forward(unmask::cpu_executor{}, tensors, unmask::causal{},
                              unmask::attention_options{.soft_cap = 30});
}
