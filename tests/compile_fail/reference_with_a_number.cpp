// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expected-error: unmask: a mask needs bool visible\(index_t q, index_t k\) const: see unmask::mask_policy
// expected-errors: 1
#include <unmask/attention/reference.hpp>

void misuse(const unmask::attention_tensors<double>& tensors) {
    unmask::reference::attention_forward(tensors, 3);
}
