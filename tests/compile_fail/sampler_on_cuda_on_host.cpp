// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expected-errors: 1
// expected-error: cuda_executor needs nvcc: include <unmask/unmask.cuh> in a .cu file
#include <unmask/sampler/sampler.hpp>

struct model {
    static constexpr bool on_device = true;
    unmask::vocabulary vocabulary() const;
};

void call(const unmask::cuda_executor& exec, model& m, unmask::canvas& page) {
    unmask::sampler{}(exec, m, page, 1);
}
