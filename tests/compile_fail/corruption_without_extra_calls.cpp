// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expected-errors: 1
// expected-error: unmask::sampler: a corruption needs a nested type memory, index_t extra_calls
#include <span>

#include <unmask/sampler/sampler.hpp>

struct forgetful {
    static constexpr auto kind = unmask::policy_kind::corruption;
    struct memory {};
    void operator()(std::span<unmask::candidate>, const unmask::corruption_step&, memory&) const {}
};

const unmask::sampler sampler{forgetful{}};
