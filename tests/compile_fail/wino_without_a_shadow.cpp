// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expected-errors: 1
// expected-error: unmask::sampler: this corruption verifies tokens, and the model is not a shadow_denoiser
#include <span>

#include <unmask/sampler/corruption/wino.hpp>
#include <unmask/sampler/sampler.hpp>

struct model {
    unmask::vocabulary vocabulary() const { return {.size = 3, .mask = 2, .end = {}}; }
    void denoise(const unmask::canvas&, std::span<const unmask::row>, unmask::tensor_view<float, 2>) const {}
};

void fill(unmask::canvas& canvas) {
    unmask::sampler{unmask::wino{}}(unmask::cpu_executor{}, model{}, canvas, 1);
}
