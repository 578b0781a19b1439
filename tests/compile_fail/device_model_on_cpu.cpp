// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expected-errors: 1
// expected-error: the model lives on the GPU, and the executor does not: use cuda_executor
#include <unmask/sampler/sampler.hpp>

struct model {
    static constexpr bool on_device = true;
    unmask::vocabulary vocabulary() const;
};

void call(model& m, unmask::canvas& page) {
    unmask::sampler{}(unmask::cpu_executor{}, m, page, 1);
}
