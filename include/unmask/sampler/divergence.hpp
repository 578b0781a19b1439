// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/sampler/row_statistics.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// log Σ exp(logit) of a row.
inline double log_sum_exp_of(std::span<const float> logits, const row_statistics& statistics) {
    return static_cast<double>(logits[static_cast<std::size_t>(statistics.best)]) + statistics.log_sum;
}

// KL(p ‖ q) in nats, from logits and their log-sum-exp.
inline double kl_divergence(std::span<const float> p, double p_log_sum, std::span<const float> q, double q_log_sum) {
    double sum = 0;
    for (std::size_t i = 0; i < p.size(); ++i) {
        const double log_p = static_cast<double>(p[i]) - p_log_sum;
        if (log_p > -80) { // what is below can't move the sum
            sum += std::exp(log_p) * (log_p - (static_cast<double>(q[i]) - q_log_sum));
        }
    }
    return std::max(0.0, sum);
}

// How a position's distribution moved from step to step. Remembers one row of logits.
class row_history {
public:
    // Takes the row of this step. Returns the largest KL(p ‖ p of the step before), in nats, of the last `steps` steps;
    // +∞ if there were fewer.
    double next(std::span<const float> logits, const row_statistics& now, index_t steps) {
        const double log_sum = log_sum_exp_of(logits, now);
        if (!last_.empty()) {
            recent_.push_back(kl_divergence(logits, log_sum, last_, last_log_sum_));
            if (std::ssize(recent_) > steps) {
                recent_.erase(recent_.begin());
            }
        }
        last_.assign(logits.begin(), logits.end());
        last_log_sum_ = log_sum;
        const bool enough = std::ssize(recent_) >= steps;
        return enough && steps > 0 ? *std::max_element(recent_.begin(), recent_.end())
               : enough            ? 0.0
                                   : std::numeric_limits<double>::infinity();
    }

private:
    std::vector<float> last_;
    double last_log_sum_ = 0;
    std::vector<double> recent_;
};

} // namespace detail
UNMASK_NAMESPACE_END
