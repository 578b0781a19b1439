// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expected-errors: 1
// expected-error: unmask::denoiser: the model is const, but its vocabulary\(\) or denoise\(\) is not

#include <span>

#include <unmask/sampler/sampler.hpp>

struct model {
    unmask::vocabulary vocabulary() const { return {.size = 3, .mask = 2, .end = {}}; }
    void denoise(const unmask::canvas&, std::span<const unmask::row>, unmask::tensor_view<float, 2>) { ++calls; }
    int calls = 0;
};

void fill(unmask::canvas& canvas, const model& fixed) {
    unmask::sampler{}(unmask::cpu_executor{}, fixed, canvas, 1);
}
