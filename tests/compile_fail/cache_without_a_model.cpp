// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expected-errors: 1
// expected-error: unmask::sampler: the model is not a caching_denoiser: it has no approximate cache
#include <span>

#include <unmask/sampler/sampler.hpp>

struct model {
    unmask::vocabulary vocabulary() const { return {.size = 3, .mask = 2, .end = {}}; }
    void denoise(const unmask::canvas&, std::span<const unmask::row>, unmask::tensor_view<float, 2>) const {}
};

void fill(unmask::canvas& canvas) {
    unmask::sampler{unmask::prefix_cache{}}(unmask::cpu_executor{}, model{}, canvas, 1);
}
