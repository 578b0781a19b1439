// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expected-errors: 1
// expected-error: unmask::denoiser: denoise must take \(const unmask::canvas&, std::span<const unmask::row>, unmask::tensor_view<float, 2>\)

#include <vector>

#include <unmask/sampler/sampler.hpp>

struct model {
    unmask::vocabulary vocabulary() const { return {.size = 3, .mask = 2, .end = {}}; }
    void denoise(const unmask::canvas&, std::vector<float>& logits) const { logits.clear(); }
};

void fill(unmask::canvas& canvas) {
    unmask::sampler{}(unmask::cpu_executor{}, model{}, canvas, 1);
}
