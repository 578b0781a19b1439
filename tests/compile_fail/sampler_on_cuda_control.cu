// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <unmask/sampler/sampler.cuh>

struct model {
    static constexpr bool on_device = true;
    unmask::vocabulary vocabulary() const;
    void denoise(const unmask::cuda_executor&, const unmask::device_canvas&, const unmask::device_rows&,
                 unmask::tensor_view<unmask::bfloat16, 2>);
};

void call(model& m, unmask::canvas& page) {
    unmask::sampler{}(unmask::cuda_executor{}, m, page, 1);
}
