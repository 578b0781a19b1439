// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <limits>
#include <string>

#include <unmask/config.hpp>
#include <unmask/error.hpp>
#include <unmask/numeric/exact_math.hpp>
#include <unmask/sampler/candidate.hpp>
#include <unmask/sampler/policies.hpp>
#include <unmask/sampler/selector/selector.hpp>

UNMASK_NAMESPACE_BEGIN

/// Chooses the n surest tokens, with the largest n for which (n + 1)(1 − cₙ) < value, where c₁ ≥ c₂ ≥ … are their
/// probabilities: the more are committed at once, the surer each must be (Fast-dLLM's factor-based decoding, arXiv
/// 2505.22618). The surest one is always committed. The schedule is ignored.
///
/// The left side never falls as n rises, so ranks are accepted in order until the first that fails. The original code
/// also accepts the last candidate if it is the one that fails; this selector does not.
struct factor {
    static constexpr auto kind = policy_kind::selector;
    static constexpr int rankings = 1;
    double value = 1;                    ///< more than 0 and finite
    score_from source = score_from::raw; ///< distribution that the probabilities are of

    void check() const {
        if (!(value > 0 && value <= std::numeric_limits<double>::max())) {
            throw invalid_argument("sampler", "factor.value", std::to_string(value), "more than 0 and finite");
        }
    }
    UNMASK_HOST_DEVICE double rank_by(int /*n*/, const candidate& position) const {
        return position.log_probability(source);
    }
    template <class Candidates>
    UNMASK_HOST_DEVICE void choose(const Candidates& all, const step_share& /*share*/) const {
        all.choose_first(0, all.find_if([&](int rank) {
            const double doubt = exact::one_minus_exp(all.ranked(0, rank).log_probability(source));
            return rank > 0 && !(static_cast<double>(rank + 2) * doubt < value);
        }));
    }
};

UNMASK_NAMESPACE_END
