// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <span>

#include <unmask/config.hpp>
#include <unmask/sampler/candidate.hpp>
#include <unmask/sampler/policies.hpp>
#include <unmask/sampler/selector/selector.hpp>

UNMASK_NAMESPACE_BEGIN

/// One position a call, each masked one with the same chance, whatever the schedule says: the ancestral process with
/// infinitely many steps, of which only those at which something happens are made (first-hitting sampler, arXiv
/// 2409.02908). Scores are not used. It is exact for a model that isn't told the time, as no `denoiser` is.
struct first_hitting {
    static constexpr auto kind = policy_kind::selector;
    static constexpr bool before_model = true;

    void operator()(std::span<candidate> candidates, const step_share& /*share*/) const {
        const auto hit = std::min_element(candidates.begin(), candidates.end(),
                                          [](const candidate& a, const candidate& b) { return a.random < b.random; });
        if (hit != candidates.end()) {
            hit->chosen = true;
        }
    }
};

UNMASK_NAMESPACE_END
