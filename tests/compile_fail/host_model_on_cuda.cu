// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expected-errors: 1
// expected-error: cuda_executor takes a model that lives on the GPU, a device_denoiser
#include <span>

#include <unmask/sampler/sampler.cuh>

struct model {
    unmask::vocabulary vocabulary() const;
    void denoise(const unmask::canvas&, std::span<const unmask::row>, unmask::tensor_view<float, 2>);
};

void call(model& m, unmask::canvas& page) {
    unmask::sampler{}(unmask::cuda_executor{}, m, page, 1);
}
