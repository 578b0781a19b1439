// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <type_traits>

#include <unmask/config.hpp>
#include <unmask/numeric/detail/base_2.hpp>
#include <unmask/numeric/detail/row_sums.hpp>
#include <unmask/numeric/detail/weights.hpp>
#include <unmask/numeric/exact_math.hpp>

UNMASK_NAMESPACE_BEGIN

/// Statistics of a distribution over the vocabulary: all that policies need of it. They are relative to the most likely
/// token and logarithmic, so probabilities that all round to 1 can still be told apart.
struct row_statistics {
    token_t best = -1;                                           ///< the most likely token; of equals, the lowest
    double second = static_cast<double>(detail::minus_infinity); ///< the runner-up's logit − the best's, at most 0
    double log_sum = 0;                                          ///< log Σ exp(logit − the best's), at least 0
    double entropy = 0;                                          ///< in nats, at least 0

    /// log p of the most likely token.
    [[nodiscard]] UNMASK_HOST_DEVICE double log_best() const { return -log_sum; }
    /// log(p − p′) of the most likely token and the runner-up; −∞ if they are equally likely.
    [[nodiscard]] UNMASK_HOST_DEVICE double log_margin() const { return exact::log_of_1_minus_exp(second) - log_sum; }
};

/// The result of a draw.
struct drawn {
    token_t token = -1;         ///< the drawn token
    double log_probability = 0; ///< of the token in the distribution that it was drawn from
    row_statistics shaped;      ///< of that distribution
};

namespace detail {

// All that the sampler needs of a row.
struct row_result {
    row_statistics raw; // at temperature 1, of all tokens
    drawn draw;
};

// log p of a token at temperature 1. The difference is rounded by itself: log_sum would be lost in a large logit.
UNMASK_HOST_DEVICE inline double log_probability_of(float logit, float highest, double log_sum) {
    return rounded(static_cast<double>(logit) - static_cast<double>(highest)) - log_sum;
}

// `second` is scaled as the sums are; their moment is of distances times `scale`.
UNMASK_HOST_DEVICE inline row_statistics make_statistics(token_t best, double second, const weight_sums& sums,
                                                         double scale) {
    const double log_sum = log_of_1_plus(sums.weight);
    const double mean = quotient(product_of(sums.moment, scale), sums.with_best().weight);
    const double entropy = log_sum - mean;
    // −0 becomes 0 by the sum: nvcc makes a minimum of the condition, and on a GPU −0 is less than 0.
    const double behind = rounded(second < 0 ? second : 0.0) + 0.0;
    return {best, behind, log_sum, entropy > 0 ? entropy : 0};
}

// At temperature 1.
UNMASK_HOST_DEVICE inline row_statistics raw_statistics(const row_state& row) {
    if (row.bad || row.part.best < 0) {
        return {};
    }
    const double second = static_cast<double>(row.part.second) - static_cast<double>(row.part.highest);
    return make_statistics(row.part.best, second, row.part.raw, 1);
}

// A draw among all tokens: the most likely one, or one at random at some temperature.
struct row_rule {
    row_reading reading = row_reading::statistics;
    weight_rule rule{1};

    static row_rule at_temperature(double temperature) {
        if (!(temperature > 0)) {
            return {};
        }
        return {temperature == 1 ? row_reading::draw : row_reading::tempered_draw, weight_rule(1 / temperature)};
    }

    // The sums of what is drawn from.
    [[nodiscard]] UNMASK_HOST_DEVICE const weight_sums& sums_of(const row_part& part) const {
        return reading == row_reading::tempered_draw ? part.shaped : part.raw;
    }

    // The statistics of what is drawn from.
    [[nodiscard]] UNMASK_HOST_DEVICE row_statistics shaped_statistics(const row_statistics& raw,
                                                                      const row_part& row) const {
        return reading == row_reading::tempered_draw
                   ? make_statistics(raw.best, product_of(raw.second, rule.scale), row.shaped, rule.scale)
                   : raw;
    }

    // What a row with statistics gives whose token, drawn or the most likely one, has this logit.
    [[nodiscard]] UNMASK_HOST_DEVICE drawn draw_of(const row_statistics& raw, const row_part& row, token_t token,
                                                   float logit) const {
        drawn result{token, 0, shaped_statistics(raw, row)};
        const double distance = static_cast<double>(logit) - static_cast<double>(row.highest);
        const double exponent = reading == row_reading::statistics ? 0 : product_of(distance, rule.scale);
        result.log_probability = exponent - result.shaped.log_sum;
        return result;
    }
};

// Calls f with a rule's reading as a std::integral_constant.
template <class F>
decltype(auto) with_reading(row_reading reading, const F& f) {
    switch (reading) {
    case row_reading::draw:
        return f(std::integral_constant<row_reading, row_reading::draw>());
    case row_reading::tempered_draw:
        return f(std::integral_constant<row_reading, row_reading::tempered_draw>());
    default:
        return f(std::integral_constant<row_reading, row_reading::statistics>());
    }
}

} // namespace detail
UNMASK_NAMESPACE_END
