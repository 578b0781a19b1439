// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include <unmask/config.hpp>
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
    [[nodiscard]] double log_margin() const { return std::log(-std::expm1(second)) - log_sum; }
};

namespace detail {

// Sums are kept in this many parts and joined in a fixed order, whatever the width of the machine's registers.
inline constexpr std::size_t parts = 16;

// exp(x) for −708 ≤ x ≤ 0, relative error 3e-16. No branch and no call, so that loops around it become vector code.
inline double exp_nonpositive(double x) {
    constexpr double inverse_ln2 = 1.4426950408889634;
    constexpr double ln2_high = 0x1.62e42fefa3800p-1; // its product with a whole number of 10 bits is exact
    constexpr double ln2_low = 0x1.ef35793c76730p-45;
    const auto whole = static_cast<std::int32_t>(x * inverse_ln2 - 0.5); // truncation rounds to nearest, as x ≤ 0
    const double r = (x - whole * ln2_high) - whole * ln2_low;
    double p = 1.0 / 479001600.0; // Taylor's series: |r| ≤ 0.35
    p = p * r + 1.0 / 39916800.0;
    p = p * r + 1.0 / 3628800.0;
    p = p * r + 1.0 / 362880.0;
    p = p * r + 1.0 / 40320.0;
    p = p * r + 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    p = p * r + 1.0;
    p = p * r + 1.0;
    return p * bits_as<double>(static_cast<std::uint64_t>(std::int64_t{whole} + 1023) << 52);
}

// The exponent of a token's weight: (logit − highest) · scale, and `no_weight` where the weight is 0, as for −∞.
inline constexpr double no_weight = -708.0;
inline double exponent_of(float logit, double highest, double scale) {
    return std::max((static_cast<double>(logit) - highest) * scale, no_weight);
}
inline double weight_of(double exponent) {
    const double weight = exp_nonpositive(exponent);
    return exponent > no_weight ? weight : 0.0;
}

// Calls body(part, i) for every i of [0, count): i goes to part i % parts.
template <class Body>
void for_parts(std::size_t count, Body&& body) {
    std::size_t i = 0;
    for (; i + parts <= count; i += parts) {
        for (std::size_t part = 0; part < parts; ++part) {
            body(part, i + part);
        }
    }
    for (; i < count; ++i) {
        body(i % parts, i);
    }
}

// The two highest logits of a row, and where. token is −1 if a logit is NaN or +∞ or all are −∞.
struct row_peak {
    token_t token = -1;
    float highest = -std::numeric_limits<float>::infinity();
    float second = -std::numeric_limits<float>::infinity();
};

// NaN or +∞, from the bits: -ffast-math folds comparisons away.
inline bool is_bad_logit(float logit) {
    const auto bits = bits_as<std::uint32_t>(logit);
    return ((bits << 1) > 0xff000000U) || bits == 0x7f800000U;
}

inline row_peak find_peak(std::span<const float> logits) {
    constexpr float none = -std::numeric_limits<float>::infinity();
    float highest[parts];
    float second[parts];
    token_t token[parts];
    std::uint32_t bad[parts];
    for (std::size_t part = 0; part < parts; ++part) {
        highest[part] = second[part] = none;
        token[part] = -1;
        bad[part] = 0;
    }
    const float* row = logits.data();
    for_parts(logits.size(), [&](std::size_t part, std::size_t i) {
        const float logit = row[i];
        const float old = highest[part];
        const float lower = logit < old ? logit : old;
        second[part] = lower > second[part] ? lower : second[part];
        token[part] = logit > old ? static_cast<token_t>(i) : token[part];
        highest[part] = logit > old ? logit : old;
        bad[part] |= is_bad_logit(logit) ? 1U : 0U;
    });
    row_peak peak;
    std::uint32_t any_bad = 0;
    for (std::size_t part = 0; part < parts; ++part) {
        any_bad |= bad[part];
        const bool better = highest[part] > peak.highest || (highest[part] == peak.highest && token[part] < peak.token);
        peak.second = std::max({peak.second, second[part], std::min(peak.highest, highest[part])});
        peak.token = better ? token[part] : peak.token;
        peak.highest = std::max(peak.highest, highest[part]);
    }
    peak.token = any_bad != 0 ? -1 : peak.token;
    return peak;
}

// Σ w and Σ w·x over tokens, with w = exp(x).
struct weight_sums {
    double weight = 0;
    double moment = 0;

    weight_sums& operator+=(const weight_sums& other) {
        weight += other.weight;
        moment += other.moment;
        return *this;
    }
};

inline weight_sums sum_weights(std::span<const float> logits, double highest, double scale) {
    double weight[parts]{};
    double moment[parts]{};
    const float* row = logits.data();
    for_parts(logits.size(), [&](std::size_t part, std::size_t i) {
        const double exponent = exponent_of(row[i], highest, scale);
        const double w = weight_of(exponent);
        weight[part] += w;
        moment[part] += w * exponent;
    });
    weight_sums sums;
    for (std::size_t part = 0; part < parts; ++part) {
        sums += {weight[part], moment[part]};
    }
    return sums;
}

// The sums over a row without its best token, whose weight is 1: added to 1 here, small ones would be lost.
inline weight_sums sum_weights_but(token_t best, std::span<const float> logits, double scale) {
    const auto at = static_cast<std::size_t>(best);
    const double highest = logits[at];
    weight_sums sums = sum_weights(logits.first(at), highest, scale);
    sums += sum_weights(logits.subspan(at + 1), highest, scale);
    return sums;
}

// `sums` leaves out the best token; `second` is scaled as they are.
inline row_statistics make_statistics(token_t best, double second, const weight_sums& sums) {
    const double log_sum = std::log1p(sums.weight);
    return {best, second, log_sum, std::max(0.0, log_sum - sums.moment / (1 + sums.weight))};
}

} // namespace detail

/// The statistics of softmax(logits), in two passes over them and with sums in double. `best` is −1, and the rest without
/// meaning, if a logit is NaN or +∞ or all are −∞.
[[nodiscard]] inline row_statistics statistics_of(std::span<const float> logits) {
    const detail::row_peak peak = detail::find_peak(logits);
    if (peak.token < 0) {
        return {};
    }
    const double second = static_cast<double>(peak.second) - static_cast<double>(peak.highest);
    return detail::make_statistics(peak.token, second, detail::sum_weights_but(peak.token, logits, 1.0));
}

UNMASK_NAMESPACE_END
