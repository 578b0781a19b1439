// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expected-errors: 1
// expected-error: unmask::denoiser: the model has no member vocabulary

#include <span>

#include <unmask/sampler/sampler.hpp>

struct model {
    void denoise(const unmask::canvas&, std::span<const unmask::row>, unmask::tensor_view<float, 2>) const {}
};

void fill(unmask::canvas& canvas) {
    unmask::sampler{}(unmask::cpu_executor{}, model{}, canvas, 1);
}
