// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expected-error: unmask: a mask needs bool visible\(index_t q, index_t k\) const: see unmask::mask_policy
// expected-errors: 1
#include <unmask/analysis/sink_tracker.hpp>

void misuse(unmask::sink_tracker& tracker, const unmask::attention_tensors<float>& tensors) {
    tracker.attention(unmask::cpu_executor{}, 0, {}, tensors, 3);
}
