// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expected-error: unmask: the sampler on cuda_executor needs #include <unmask/sampler/sampler.cuh>
// expected-errors: 1
#include <unmask/sampler/device_denoiser.cuh>
#include <unmask/sampler/sampler.hpp>

struct model {
    static constexpr bool on_device = true;
    unmask::vocabulary vocabulary() const;
    void denoise(const unmask::cuda_executor&, const unmask::device_canvas&, const unmask::device_rows&,
                 unmask::tensor_view<float, 2>) const;
};

void call(model& m, unmask::canvas& page) {
    unmask::sampler{}(unmask::cuda_executor{}, m, page, 1);
}
