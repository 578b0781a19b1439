// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expected-errors: 1
// expected-error: on cuda_executor the model must be a device_denoiser
#include <unmask/sampler/sampler.cuh>

struct model {
    static constexpr bool on_device = true;
    unmask::vocabulary vocabulary() const;
};

void call(model& m, unmask::canvas& page) {
    unmask::sampler{}(unmask::cuda_executor{}, m, page, 1);
}
