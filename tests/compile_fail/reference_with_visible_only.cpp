// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expected-error: unmask: a mask with `visible` alone runs as unmask::predicate\(mask\), which skips no tile
// expected-errors: 1
#include <unmask/attention/reference.hpp>

struct only_visible {
    constexpr bool visible(unmask::index_t q, unmask::index_t k) const { return k <= q; }
};

void misuse(const unmask::attention_tensors<double>& tensors, const unmask::attention_gradients<double>& gradients) {
    unmask::reference::attention_backward(tensors, gradients, only_visible{});
}
