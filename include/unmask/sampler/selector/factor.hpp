// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <limits>
#include <span>
#include <string>

#include <unmask/config.hpp>
#include <unmask/error.hpp>
#include <unmask/numeric/exact_math.hpp>
#include <unmask/sampler/candidate.hpp>
#include <unmask/sampler/detail/host/ranking.hpp>
#include <unmask/sampler/policies.hpp>
#include <unmask/sampler/selector/selector.hpp>

UNMASK_NAMESPACE_BEGIN

/// The n surest tokens with the largest n for which (n + 1)(1 − cₙ) < value, where c₁ ≥ c₂ ≥ … are their probabilities:
/// the more are committed at once, the surer each must be (Fast-dLLM's factor-based decoding, arXiv 2505.22618). The
/// surest one is always committed. The schedule is not looked at.
///
/// The left side never falls as n rises, so ranks are accepted one after the other until the first that fails. The loop
/// in the original's code also accepts the last of all if that is the one that fails; this one does not.
struct factor {
    static constexpr auto kind = policy_kind::selector;
    double value = 1;
    score_from source = score_from::raw;

    void check() const {
        if (!(value > 0 && value <= std::numeric_limits<double>::max())) {
            throw invalid_argument("sampler", "factor.value", std::to_string(value), "more than 0 and finite");
        }
    }
    void operator()(std::span<candidate> candidates, const step_share& /*share*/) const {
        detail::ranking ranks(candidates, [&](const candidate& it) { return it.log_probability(source); });
        for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
            candidate& position = candidates[ranks[rank]];
            const double doubt = exact::one_minus_exp(position.log_probability(source));
            if (rank > 0 && !(static_cast<double>(rank + 2) * doubt < value)) {
                return;
            }
            position.chosen = true;
        }
    }
};

UNMASK_NAMESPACE_END
