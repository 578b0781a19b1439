// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expected-error: unmask: mask.classify\(q_begin, q_end, k_begin, k_end\) must be const, take four index_t
// expected-errors: 1
#include <unmask/attention/attention.hpp>

struct says_yes_or_no {
    constexpr bool visible(unmask::index_t, unmask::index_t) const { return true; }
    constexpr bool classify(unmask::index_t, unmask::index_t, unmask::index_t, unmask::index_t) const { return true; }
    constexpr auto key_ranges(unmask::index_t, unmask::index_t, unmask::index_t keys) const {
        return unmask::ranges<1>({0, keys});
    }
};

void misuse(const unmask::attention_tensors<float>& tensors, const unmask::attention_gradients<float>& gradients) {
    unmask::attention_backward(unmask::cpu_executor{}, tensors, gradients, says_yes_or_no{});
}
