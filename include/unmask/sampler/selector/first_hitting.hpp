// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/sampler/candidate.hpp>
#include <unmask/sampler/policies.hpp>
#include <unmask/sampler/selector/selector.hpp>

UNMASK_NAMESPACE_BEGIN

/// Chooses one position per call, every masked one with the same probability, whatever the schedule: the ancestral
/// process with infinitely many steps, of which only those at which something happens are made (first-hitting sampler,
/// arXiv 2409.02908). Scores are not used. It is exact for a model that does not depend on time, as no `denoiser` does.
struct first_hitting {
    static constexpr auto kind = policy_kind::selector;
    static constexpr bool before_model = true;

    template <class Candidates>
    UNMASK_HOST_DEVICE void choose(const Candidates& all, const step_share& /*share*/) const {
        const int hit = all.highest([&](int i) { return -all[i].random; });
        all.for_each([&](int i) { all[i].chosen = i == hit; });
    }
};

UNMASK_NAMESPACE_END
