// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <unmask/attention/attention.hpp>
#include <unmask/attention/reference.hpp>
#include <unmask/mask/causal.hpp>
#include <unmask/mask/predicate.hpp>

struct only_visible {
    bool operator()(unmask::index_t q, unmask::index_t k) const { return k <= q; }
};

void call(const unmask::attention_tensors<float>& tensors, const unmask::attention_tensors<double>& doubles) {
    unmask::attention_forward(unmask::cpu_executor{}, tensors, unmask::causal{});
    unmask::attention_forward(unmask::cpu_executor{2}, tensors, unmask::predicate(only_visible{}));
    unmask::reference::attention_forward(doubles, unmask::causal{});
}
