// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/cpu/rows/chunk_divergence.hpp>
#include <unmask/numeric/exact_math.hpp>
#include <unmask/numeric/row_statistics.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// KL(p ‖ q) in nats: the mean of log p − log q. `sum` is Σ w (p − q) of logits less their row's highest, w = exp(p).
// Absolute error about 1e-7 times the mean of |p − q|.
UNMASK_HOST_DEVICE inline double kl_divergence(double sum, double p_log_sum, double q_log_sum) {
    const double divergence = product_of(sum, exp_nonpositive(-p_log_sum)) - (p_log_sum - q_log_sum);
    return divergence > 0 ? divergence : 0;
}

inline double kl_divergence(std::span<const float> p, const row_statistics& of_p, std::span<const float> q,
                            const row_statistics& of_q) {
    const float p_highest = p[static_cast<std::size_t>(of_p.best)];
    const float q_highest = q[static_cast<std::size_t>(of_q.best)];
    return kl_divergence(row_divergence(p, p_highest, q, q_highest), of_p.log_sum, of_q.log_sum);
}

// How a position's distribution moved from step to step. Remembers one row of logits.
class row_history {
public:
    // Takes the row of this step. Returns the largest KL(p ‖ p of the step before), in nats, of the last `steps` steps;
    // +∞ if there were fewer.
    double next(std::span<const float> logits, const row_statistics& now, index_t steps) {
        if (!last_.empty()) {
            recent_.push_back(kl_divergence(logits, now, {last_.data(), last_.size()}, last_statistics_));
            if (std::ssize(recent_) > steps) {
                recent_.erase(recent_.begin());
            }
        }
        last_.assign(logits.begin(), logits.end());
        last_statistics_ = now;
        const bool enough = std::ssize(recent_) >= steps;
        return enough && steps > 0 ? *std::max_element(recent_.begin(), recent_.end())
               : enough            ? 0.0
                                   : std::numeric_limits<double>::infinity();
    }

private:
    std::vector<float> last_;
    row_statistics last_statistics_;
    std::vector<double> recent_;
};

} // namespace detail
UNMASK_NAMESPACE_END
