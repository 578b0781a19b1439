// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expected-error: unmask::sampler: on cuda_executor a selector that runs before the model has no rankings
// expected-errors: 1
#include <unmask/sampler/sampler.cuh>

struct model {
    static constexpr bool on_device = true;
    unmask::vocabulary vocabulary() const;
    void denoise(const unmask::cuda_executor&, const unmask::device_canvas&, const unmask::device_rows&,
                 unmask::tensor_view<float, 2>) const;
};

struct first_by_score {
    static constexpr auto kind = unmask::policy_kind::selector;
    static constexpr bool before_model = true;
    static constexpr int rankings = 1;
    template <class Candidates>
    UNMASK_HOST_DEVICE void choose(const Candidates& all, const unmask::step_share&) const {
        all.choose_first(0, 1);
    }
};

void call(model& m, unmask::canvas& page) {
    unmask::sampler{first_by_score{}}(unmask::cuda_executor{}, m, page, 1);
}
