// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expected-error: unmask: mask.row\(q, keys\) must be const and return an unmask::ranges<C>
// expected-errors: 1
#include <unmask/attention/attention.hpp>
#include <unmask/mask/causal.hpp>

struct one_range : unmask::causal { // a range is not ranges: without an error, it would never be asked
    constexpr unmask::range row(unmask::index_t q, unmask::index_t) const { return {0, q + 1}; }
};

void misuse(const unmask::attention_tensors<float>& tensors) {
    unmask::attention_forward(unmask::cpu_executor{}, tensors, one_range{});
}
