// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expected-errors: 1
// expected-error: unmask::sampler: a score needs unmask::score operator\(\)\(const unmask::candidate&\) const

#include <unmask/sampler/sampler.hpp>

struct entropy {
    static constexpr auto kind = unmask::policy_kind::score;
    double operator()(const unmask::candidate& it) const { return it.raw.entropy; }
};

const unmask::sampler sampler{unmask::steps{4}, entropy{}};
