// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <limits>
#include <string>

#include <unmask/config.hpp>
#include <unmask/error.hpp>
#include <unmask/numeric/detail/integers.hpp>
#include <unmask/sampler/candidate.hpp>
#include <unmask/sampler/policies.hpp>
#include <unmask/sampler/selector/selector.hpp>

UNMASK_NAMESPACE_BEGIN

/// Chooses candidates in the order of their scores for as long as Σ H − max H ≤ gamma, where H are the entropies of
/// their distributions in nats: a bound on the loss from drawing them independently (EB-Sampler, arXiv 2505.24857). The
/// first is always committed. The schedule is ignored.
struct entropy_bound {
    static constexpr auto kind = policy_kind::selector;
    static constexpr int rankings = 1;
    double gamma = 0.1;                  ///< in nats
    score_from source = score_from::raw; ///< whose entropies

    void check() const {
        if (!(gamma >= 0 && gamma <= std::numeric_limits<double>::max())) {
            throw invalid_argument("sampler", "entropy_bound.gamma", std::to_string(gamma), "at least 0 and finite");
        }
    }
    // The sum has an order: one thread follows it, which is rarely far.
    template <class Candidates>
    UNMASK_HOST_DEVICE void choose(const Candidates& all, const step_share& /*share*/) const {
        double largest = 0;
        double others = 0; // the sum without the largest, so that nothing is subtracted
        all.choose_first(0, all.walk([&](int rank) {
            const double entropy = all.ranked(0, rank).statistics(source).entropy;
            others += detail::smaller(largest, entropy);
            largest = detail::larger(largest, entropy);
            return others <= gamma;
        }));
    }
};

UNMASK_NAMESPACE_END
