// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expected-error: unmask: a mask needs bool visible\(index_t q, index_t k\) const: see unmask::mask_policy
// expected-errors: 1
#include <unmask/attention/attention.hpp>
#include <unmask/mask/extra_sink.hpp>

void misuse(const unmask::attention_tensors<float>& tensors) {
    unmask::attention_forward(unmask::cpu_executor{}, tensors, unmask::extra_sink{3, 1});
}
