// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <string>

#include <unmask/config.hpp>
#include <unmask/error.hpp>
#include <unmask/numeric/exact_math.hpp>
#include <unmask/sampler/candidate.hpp>
#include <unmask/sampler/policies.hpp>
#include <unmask/sampler/selector/selector.hpp>

UNMASK_NAMESPACE_BEGIN

/// Chooses all candidates whose token has more than a probability and whose distribution has hardly changed over the
/// last steps; if there are none, the scheduled number of those with the highest scores (KLASS, arXiv 2511.05664).
///
/// The distribution of a step diverges from the one before it by KL(new ‖ old), and every one of the last
/// `divergence_steps` divergences must be below the bound, so nothing is stable before step `divergence_steps`.
struct kl_stable {
    static constexpr auto kind = policy_kind::selector;
    static constexpr int rankings = 1;
    double confidence = 0.9;             ///< a probability
    double divergence = 0.01;            ///< in nats
    index_t divergence_steps = 2;        ///< at least 1
    score_from source = score_from::raw; ///< of the confidence; divergences are always of the raw distributions

    void check() const {
        detail::check_probability("kl_stable.confidence", confidence);
        if (!(divergence >= 0)) {
            throw invalid_argument("sampler", "kl_stable.divergence", std::to_string(divergence), "at least 0");
        }
        if (divergence_steps < 1) {
            throw invalid_argument("sampler", "kl_stable.divergence_steps", std::to_string(divergence_steps),
                                   "at least 1");
        }
    }
    template <class Candidates>
    UNMASK_HOST_DEVICE void choose(const Candidates& all, const step_share& share) const {
        const double bound = exact::log_of_probability(confidence);
        all.for_each(
            [&](int i) { all[i].chosen = all[i].log_probability(source) > bound && all[i].divergence < divergence; });
        if (detail::none_chosen(all)) {
            all.choose_first(0, share.quota);
        }
    }
};

UNMASK_NAMESPACE_END
