// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>
#include <string>

#include <unmask/config.hpp>
#include <unmask/error.hpp>
#include <unmask/sampler/candidate.hpp>
#include <unmask/sampler/detail/host/ranking.hpp>
#include <unmask/sampler/policies.hpp>
#include <unmask/sampler/selector/selector.hpp>

UNMASK_NAMESPACE_BEGIN

/// In the order of their scores, as many as have Σ H − max H ≤ gamma, where H are the entropies of their distributions in
/// nats: a bound on what is lost by drawing them independently (EB-Sampler, arXiv 2505.24857). The first is always
/// committed. The schedule is not looked at.
struct entropy_bound {
    static constexpr auto kind = policy_kind::selector;
    double gamma = 0.1;                  ///< in nats
    score_from source = score_from::raw; ///< whose entropies

    void check() const {
        if (!(gamma >= 0 && gamma <= std::numeric_limits<double>::max())) {
            throw invalid_argument("sampler", "entropy_bound.gamma", std::to_string(gamma), "at least 0 and finite");
        }
    }
    void operator()(std::span<candidate> candidates, const step_share& /*share*/) const {
        detail::ranking ranks(candidates, [](const candidate& it) { return it.score.value; });
        double largest = 0;
        double others = 0; // the sum without the largest, so that nothing is subtracted
        for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
            candidate& position = candidates[ranks[rank]];
            const double entropy = position.statistics(source).entropy;
            others += std::min(largest, entropy);
            largest = std::max(largest, entropy);
            if (!(others <= gamma)) {
                return;
            }
            position.chosen = true;
        }
    }
};

UNMASK_NAMESPACE_END
