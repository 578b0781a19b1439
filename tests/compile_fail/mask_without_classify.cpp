// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expected-error: unmask: the mask has no member classify\(q_begin, q_end, k_begin, k_end\)
// expected-errors: 1
#include <unmask/attention/attention.hpp>

struct without_classify {
    constexpr bool visible(unmask::index_t, unmask::index_t) const { return true; }
    constexpr auto key_ranges(unmask::index_t, unmask::index_t, unmask::index_t keys) const {
        return unmask::ranges<1>({0, keys});
    }
};

void misuse(const unmask::attention_tensors<float>& tensors, unmask::tensor_view<float, 3> received) {
    unmask::attention_received(unmask::cpu_executor{}, tensors, received, without_classify{});
}
