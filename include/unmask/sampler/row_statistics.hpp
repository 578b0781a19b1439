// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>

#include <unmask/config.hpp>
#include <unmask/cpu/simd.hpp>
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

// A row is read this many tokens at a time, and sums are kept in as many parts, which are joined in a fixed order: they
// don't depend on the width of the machine's registers.
inline constexpr std::size_t parts = 16;

// A register of doubles, and the floats and integers that go with it.
inline constexpr int double_lanes = lanes / 2;
using vdouble = double __attribute__((vector_size(double_lanes * sizeof(double))));
using vlong = std::int64_t __attribute__((vector_size(double_lanes * sizeof(std::int64_t))));
using vfloat_half = float __attribute__((vector_size(double_lanes * sizeof(float))));
using vint_half = std::int32_t __attribute__((vector_size(double_lanes * sizeof(std::int32_t))));

// exp(x) for −708 ≤ x ≤ 0, relative error 3e-16.
inline vdouble exp_nonpositive(vdouble x) {
    constexpr double inverse_ln2 = 1.4426950408889634;
    constexpr double ln2_high = 0x1.62e42fefa3800p-1; // its product with a whole number of 10 bits is exact
    constexpr double ln2_low = 0x1.ef35793c76730p-45;
    const vint_half whole = __builtin_convertvector(x * inverse_ln2 - 0.5, vint_half); // the nearest, as x ≤ 0
    const vdouble n = __builtin_convertvector(whole, vdouble);
    const vdouble r = (x - n * ln2_high) - n * ln2_low;
    vdouble p = r * (1.0 / 479001600.0) + 1.0 / 39916800.0; // Taylor's series: |r| ≤ 0.35
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
    return p * std::bit_cast<vdouble>((__builtin_convertvector(whole, vlong) + 1023) << 52);
}

// The logits of up to `parts` tokens; −∞ where there are no more.
struct logit_batch {
    float logit[parts];

    explicit logit_batch(std::span<const float> from) {
        if (from.size() >= parts) {
            std::copy_n(from.data(), parts, logit);
        } else {
            std::fill(std::copy(from.begin(), from.end(), logit), logit + parts, minus_infinity);
        }
    }
};

// Tokens' weights: exp(x) with x = (logit − highest) · scale. From x = −708 down, and so for −∞, the weight is 0.
struct weight_batch {
    double exponent[parts];
    double weight[parts];

    weight_batch(std::span<const float> from, double highest, double scale) {
        constexpr double least = -708.0;
        const logit_batch batch(from);
        for (std::size_t i = 0; i < parts; i += double_lanes) {
            vfloat_half logit;
            std::memcpy(&logit, batch.logit + i, sizeof logit);
            vdouble x = (__builtin_convertvector(logit, vdouble) - highest) * scale;
            x = x > least ? x : least - vdouble{};
            const vdouble w = x > least ? exp_nonpositive(x) : vdouble{};
            std::memcpy(exponent + i, &x, sizeof x);
            std::memcpy(weight + i, &w, sizeof w);
        }
    }
};

// NaN or +∞, from the bits: -ffast-math folds comparisons away.
inline bool is_bad_logit(float logit) {
    const auto bits = bits_as<std::uint32_t>(logit);
    return (bits << 1) > 0xff000000U || bits == 0x7f800000U;
}

// The two highest logits of a row, and where. token is −1 if a logit is NaN or +∞ or all are −∞.
struct row_peak {
    token_t token = -1;
    float highest = minus_infinity;
    float second = minus_infinity;
};

inline row_peak find_peak(std::span<const float> logits) {
    constexpr std::size_t registers = parts / lanes;
    using vbits = std::uint32_t __attribute__((vector_size(sizeof(vfloat))));
    vfloat highest[registers];
    vfloat second[registers];
    vint token[registers];
    vint bad[registers]{};
    vint here = {};
    for (std::size_t lane = 0; lane < lanes; ++lane) {
        here[lane] = static_cast<token_t>(lane);
    }
    std::fill_n(highest, registers, broadcast(minus_infinity));
    std::fill_n(second, registers, broadcast(minus_infinity));
    std::fill_n(token, registers, here - here - 1);
    for (std::size_t begin = 0; begin < logits.size(); begin += parts) {
        const logit_batch batch(logits.subspan(begin));
        for (std::size_t i = 0; i < registers; ++i, here += lanes) {
            const vfloat logit = load(batch.logit + i * lanes);
            const vint higher = logit > highest[i];
            second[i] = larger(second[i], select(higher, highest[i], logit));
            highest[i] = select(higher, logit, highest[i]);
            token[i] = higher ? here : token[i];
            const auto bits = std::bit_cast<vbits>(logit);
            bad[i] |= ((bits << 1) > 0xff000000U) | (bits == 0x7f800000U);
        }
    }
    row_peak peak;
    bool any_bad = false;
    for (std::size_t part = 0; part < parts; ++part) {
        const std::size_t i = part / lanes;
        const std::size_t lane = part % lanes;
        const float best = highest[i][lane];
        const bool better = best > peak.highest || (best == peak.highest && token[i][lane] < peak.token);
        peak.second = std::max({peak.second, float{second[i][lane]}, std::min(peak.highest, best)});
        peak.token = better ? token[i][lane] : peak.token;
        peak.highest = std::max(peak.highest, best);
        any_bad = any_bad || bad[i][lane] != 0;
    }
    peak.token = any_bad ? -1 : peak.token;
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
    for (std::size_t begin = 0; begin < logits.size(); begin += parts) {
        const weight_batch batch(logits.subspan(begin), highest, scale);
        for (std::size_t part = 0; part < parts; ++part) {
            weight[part] += batch.weight[part];
            moment[part] += batch.weight[part] * batch.exponent[part];
        }
    }
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
