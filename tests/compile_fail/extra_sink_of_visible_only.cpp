// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expected-error: unmask: a mask with `visible` alone runs as unmask::predicate\(mask\), which skips no tile
// expected-errors: 1
#include <unmask/attention/attention.hpp>
#include <unmask/mask/extra_sink.hpp>

struct only_visible {
    constexpr bool visible(unmask::index_t q, unmask::index_t k) const { return k <= q; }
};

void misuse(const unmask::attention_tensors<float>& tensors) {
    unmask::attention_forward(unmask::cpu_executor{}, tensors, unmask::extra_sink{only_visible{}});
}
