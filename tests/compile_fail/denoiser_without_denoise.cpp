// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expected-errors: 1
// expected-error: unmask::denoiser: the model has no member denoise\(canvas, rows, logits\)

#include <unmask/sampler/sampler.hpp>

struct model {
    unmask::vocabulary vocabulary() const { return {.size = 3, .mask = 2, .end = {}}; }
    void forward(const unmask::canvas&) const {}
};

void fill(unmask::canvas& canvas) {
    unmask::sampler{}(unmask::cpu_executor{}, model{}, canvas, 1);
}
