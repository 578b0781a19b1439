// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/error.hpp>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/denoiser.hpp>
#include <unmask/sampler/policies.hpp>
#include <unmask/sampler/row_statistics.hpp>

UNMASK_NAMESPACE_BEGIN

/// Raises the logits of tokens that were a position's most likely token at earlier steps (dInfer's credit decoding,
/// arXiv 2510.08666). At each step that requests a position, the credits C of all its tokens are multiplied by `decay`,
/// p^power is added to the credit of the most likely token, and weight · log(1 + C) is added to the logits.
///
/// The original stores C for the whole vocabulary; here a position stores only tokens that have had credit, at most one
/// new one per step. The mask token gets no credit and does not count in p. Work: the statistics of the row once more.
struct credit {
    static constexpr auto kind = policy_kind::logits;
    double decay = 0.8;  ///< factor of all credits at each step, in [0, 1]
    double power = 0.2;  ///< exponent of p, at least 0
    double weight = 0.7; ///< factor of log(1 + C), at least 0

    /// The credit of a token.
    struct token_credit {
        token_t token; ///< the token
        double credit; ///< C
    };
    using memory = std::vector<token_credit>;

    void check() const {
        const auto expects = [](double value, double most, const char* argument, const char* expected) {
            if (!(value >= 0 && value <= most)) {
                throw invalid_argument("sampler", argument, std::to_string(value), expected);
            }
        };
        constexpr double largest = std::numeric_limits<double>::max();
        expects(decay, 1, "credit.decay", "in [0, 1]");
        expects(power, largest, "credit.power", "at least 0 and finite");
        expects(weight, largest, "credit.weight", "at least 0 and finite");
    }
    void operator()(const canvas& page, row /*where*/, std::span<float> logits, memory& credits) const {
        if (const token_t mask = page.vocabulary().mask; mask < std::ssize(logits)) {
            logits[static_cast<std::size_t>(mask)] = -std::numeric_limits<float>::infinity();
        }
        const row_statistics statistics = statistics_of(logits);
        if (statistics.best < 0) {
            return; // the sampler reports the row
        }
        for (token_credit& one : credits) {
            one.credit *= decay;
        }
        auto best = std::find_if(credits.begin(), credits.end(),
                                 [&](const token_credit& one) { return one.token == statistics.best; });
        if (best == credits.end()) {
            credits.push_back({statistics.best, 0});
            best = credits.end() - 1;
        }
        best->credit += std::exp(power * statistics.log_best());
        for (const token_credit& one : credits) {
            logits[static_cast<std::size_t>(one.token)] += static_cast<float>(weight * std::log1p(one.credit));
        }
    }
};

UNMASK_NAMESPACE_END
