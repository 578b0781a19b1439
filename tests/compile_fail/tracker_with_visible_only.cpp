// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expected-error: unmask: a mask with `visible` alone runs as unmask::predicate\(mask\), which skips no tile
// expected-errors: 1
#include <unmask/analysis/sink_tracker.hpp>

struct only_visible {
    constexpr bool visible(unmask::index_t q, unmask::index_t k) const { return k <= q; }
};

void misuse(unmask::sink_tracker& tracker, const unmask::attention_tensors<float>& tensors) {
    tracker.attention(unmask::cpu_executor{}, 0, {}, tensors, only_visible{});
}
