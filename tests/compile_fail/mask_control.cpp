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
};

struct only_visible {
    constexpr bool visible(unmask::index_t q, unmask::index_t k) const { return k <= q; }
};

void use(const unmask::attention_tensors<float>& tensors, unmask::tensor_view<float, 3> received) {
    unmask::attention_forward(unmask::cpu_executor{}, tensors, everything{});
    unmask::attention_received(unmask::cpu_executor{}, tensors, received, everything{});
    unmask::attention_forward(unmask::cpu_executor{}, tensors, unmask::predicate(only_visible{}));
    unmask::attention_forward(unmask::cpu_executor{}, tensors, unmask::extra_sink{unmask::predicate(only_visible{})});
}
