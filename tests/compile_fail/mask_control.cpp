// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include <unmask/unmask.hpp>

struct everything {
    constexpr bool visible(unmask::index_t, unmask::index_t) const { return true; }
    constexpr unmask::tile_class classify(unmask::index_t, unmask::index_t, unmask::index_t, unmask::index_t) const {
        return unmask::tile_class::full;
    }
    constexpr auto key_ranges(unmask::index_t, unmask::index_t, unmask::index_t keys) const {
        return unmask::ranges<1>({0, keys});
    }
    constexpr auto query_ranges(unmask::index_t, unmask::index_t, unmask::index_t queries) const {
        return unmask::ranges<1>({0, queries});
    }
};

void use(const unmask::attention_tensors<float>& tensors) {
    unmask::attention_forward(unmask::cpu_executor{}, tensors, everything{});
}
