// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expected-errors: 1
// expected-error: unmask::sampler: a selector needs template <class Candidates> void choose\(const Candidates&, const unmask::step_share&\) const

#include <span>

#include <unmask/sampler/sampler.hpp>

struct first_one {
    static constexpr auto kind = unmask::policy_kind::selector;
    void operator()(std::span<unmask::candidate> candidates, const unmask::step_share&) const {
        candidates[0].chosen = true;
    }
};

const unmask::sampler sampler{first_one{}};
