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

/// Chooses all candidates whose token has more than the high probability and, of every run of neighbouring masked
/// positions, the surest if it has more than the low one: a run is split where it is best known, and the parts are
/// later filled in parallel (dInfer's hierarchical decoding, arXiv 2510.08666). Runs end at the block's edges. The
/// schedule is ignored.
struct hierarchical {
    static constexpr auto kind = policy_kind::selector;
    double low = 0.4;                    ///< probability for the surest of a run
    double high = 0.9;                   ///< probability for every position, at least `low`
    score_from source = score_from::raw; ///< distribution that the probabilities are of

    void check() const {
        detail::check_probability("hierarchical.high", high);
        if (!(low >= 0 && low <= high)) {
            throw invalid_argument("sampler", "hierarchical.low", std::to_string(low),
                                   "in [0, high] (" + std::to_string(high) + ")");
        }
    }
    template <class Candidates>
    UNMASK_HOST_DEVICE void choose(const Candidates& all, const step_share& /*share*/) const {
        const double low_bound = exact::log_of_probability(low);
        const double high_bound = exact::log_of_probability(high);
        const auto value = [&](int i) { return all[i].log_probability(source); };
        const auto goes_on = [&](int i) {
            return i > 0 && i < all.count() && all[i].where.position == all[i - 1].where.position + 1;
        };
        all.for_each([&](int begin) { // of a run; others are done with it
            if (goes_on(begin)) {
                return;
            }
            int best = begin;
            int i = begin;
            do {
                all[i].chosen = value(i) > high_bound;
                best = value(i) > value(best) ? i : best;
            } while (goes_on(++i));
            all[best].chosen = value(best) > low_bound;
        });
    }
};

UNMASK_NAMESPACE_END
