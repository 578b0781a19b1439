// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>

#include <unmask/config.hpp>
#include <unmask/sampler/chunk_sums.hpp>
#include <unmask/sampler/exact_math.hpp>
#include <unmask/sampler/row_reduction.hpp>
#include <unmask/tensor/float_types.hpp>

UNMASK_NAMESPACE_BEGIN

/// What policies need to know of a distribution over the vocabulary, without its numbers. Everything is relative to the
/// most likely token and kept in logarithms: probabilities that all round to 1 can still be told apart.
struct row_statistics {
    token_t best = -1;                                        ///< the most likely token; of equals, the lowest
    double second = -std::numeric_limits<double>::infinity(); ///< the runner-up's logit − the best's, at most 0
    double log_sum = 0;                                       ///< log Σ exp(logit − the best's), at least 0
    double entropy = 0;                                       ///< in nats, at least 0

    /// log p of the most likely token.
    [[nodiscard]] double log_best() const { return -log_sum; }
    /// log(p − p′) of the most likely token and the runner-up; −∞ if they are equally likely.
    [[nodiscard]] double log_margin() const { return detail::log_of_1_minus_exp(second) - log_sum; }
};

namespace detail {

// `second` is scaled as the sums are; their moment is of distances times `scale`.
inline row_statistics make_statistics(token_t best, double second, const weight_sums& sums, double scale) {
    const double log_sum = log_of_1_plus(sums.weight);
    const double mean = quotient(rounded(sums.moment * scale), sums.with_best().weight);
    return {best, second, log_sum, std::max(0.0, log_sum - mean)};
}

// At temperature 1.
inline row_statistics raw_statistics(const row_reduction& row) {
    if (row.bad || row.part.best < 0) {
        return {};
    }
    const double second = static_cast<double>(row.part.second) - static_cast<double>(row.part.highest);
    return make_statistics(row.part.best, second, row.part.raw, 1);
}

template <class Logit>
row_statistics read_statistics(std::span<const Logit> logits) {
    row_reduction row;
    row.read<row_reading::statistics>(logits, 0, no_token, weight_rule(1));
    return raw_statistics(row);
}

} // namespace detail

/// The statistics of softmax(logits), in one pass over them. `best` is −1, and the rest without meaning, if a logit is NaN
/// or +∞ or all are −∞.
///
/// The weights exp(logit − highest) are floats, with a relative error of 1.5e-7 + 1e-7 · (highest − logit); those below
/// e^−87 count as 0. Sums are in float over at most 1024 tokens, and then in double: log_sum and entropy have a relative
/// error of about 1e-6 at most, 1e-7 in a usual row. Every processor gets the same bits.
[[nodiscard]] inline row_statistics statistics_of(std::span<const float> logits) {
    return detail::read_statistics(logits);
}

/// The same for bfloat16 logits: as if they were converted to float.
[[nodiscard]] inline row_statistics statistics_of(std::span<const bfloat16> logits) {
    return detail::read_statistics(logits);
}

UNMASK_NAMESPACE_END
