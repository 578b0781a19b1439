// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expected-error: mask_policy
// expected-error: mask.classify\(i, i, i, i\)

#include <unmask/unmask.hpp>

struct only_visible {
    constexpr bool visible(unmask::index_t, unmask::index_t) const { return true; }
    constexpr auto key_ranges(unmask::index_t, unmask::index_t, unmask::index_t keys) const {
        return unmask::ranges<1>({0, keys});
    }
    constexpr auto query_ranges(unmask::index_t, unmask::index_t, unmask::index_t queries) const {
        return unmask::ranges<1>({0, queries});
    }
};

void misuse(const unmask::attention_tensors<float>& tensors) {
    unmask::attention_forward(unmask::cpu_executor{}, tensors, only_visible{});
}
