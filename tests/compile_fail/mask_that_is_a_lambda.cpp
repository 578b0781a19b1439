// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expected-error: unmask: a function of \(q, k\) is a mask as unmask::predicate\(function\)
// expected-errors: 1
#include <unmask/attention/attention.hpp>

void misuse(const unmask::attention_tensors<float>& tensors) {
    unmask::attention_forward(unmask::cpu_executor{}, tensors,
                              [](unmask::index_t q, unmask::index_t k) { return k <= q; });
}
