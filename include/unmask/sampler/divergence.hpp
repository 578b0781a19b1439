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

// How a position's distribution moved from step to step. Remembers one row of logits.
class row_history {
public:
    // Takes the row of this step. Returns the largest KL(p ‖ p of the step before), in nats, of the last `steps` steps;
    // +∞ if there were fewer.
    double next(std::span<const float> logits, const row_statistics& now, index_t steps) {
        const double log_sum = static_cast<double>(logits[static_cast<std::size_t>(now.best)]) + now.log_sum;
        if (!last_.empty()) {
            recent_.push_back(divergence(logits, log_sum));
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
    [[nodiscard]] double divergence(std::span<const float> logits, double log_sum) const {
        double sum = 0;
        for (std::size_t i = 0; i < logits.size(); ++i) {
            const double log_p = static_cast<double>(logits[i]) - log_sum;
            if (log_p > -80) { // what is below can't move the sum
                sum += std::exp(log_p) * (log_p - (static_cast<double>(last_[i]) - last_log_sum_));
            }
        }
        return std::max(0.0, sum);
    }

    std::vector<float> last_;
    double last_log_sum_ = 0;
    std::vector<double> recent_;
};

} // namespace detail
UNMASK_NAMESPACE_END
