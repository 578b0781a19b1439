// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstdint>

#include <unmask/config.hpp>
#include <unmask/numeric/detail/base_2.hpp>
#include <unmask/numeric/detail/integers.hpp>
#include <unmask/numeric/detail/rounded_arithmetic.hpp>
#include <unmask/tensor/float_types.hpp>

// The weights that logits have in a softmax, as floats.

UNMASK_NAMESPACE_BEGIN
namespace detail {

// Added to a number of size below 2^19 and subtracted again, it leaves the nearest multiple of 1/8.
inline constexpr float eighths_rounder = 0x1.8p20F;

// 2^r for |r| ≤ 1/16 is 1 + r · (these), relative error 3e-8.
inline constexpr float power_of_2[] = {0x1.62e432p-1F, 0x1.ec0c22p-3F, 0x1.c690eap-5F};

// The bits of 2^(i/8), less i · 2^20: with e eighths shifted up by 20, entry e mod 8 makes 2^(e/8).
inline constexpr std::uint32_t eighth_powers[] = {0x3f800000U, 0x3f7b95c2U, 0x3f7837f0U, 0x3f75fed7U,
                                                  0x3f7504f3U, 0x3f75672aU, 0x3f7744fdU, 0x3f7ac0c7U};

// The distances from a chunk's highest logit at one temperature, as weights: 2^(step · distance). At high temperatures
// logits count that are further apart than the largest float: distances, `step` and `farthest` then have a larger unit.
struct weight_rule {
    double scale;   // 1 / temperature, at most 1e37
    float unit;     // of distances: 2^64 above temperature 2^64, and else 1
    float per_unit; // 1 / unit
    float step;     // log2(e) / temperature; 0 where all weights are 1
    float farthest; // from here down the weight is 0: e^−87, so that no weight is subnormal

    UNMASK_HOST_DEVICE explicit weight_rule(double inverse_temperature)
        : scale(smaller(inverse_temperature, 1e37)), unit(scale < 0x1p-64 ? 0x1p64F : 1.0F), per_unit(1 / unit),
          step(float_of(scale * unit * 1.4426950408889634)), farthest(float_of(-87 / scale * per_unit)) {}

    UNMASK_HOST_DEVICE float distance(float logit, float highest) const {
        return fused(logit, per_unit, -highest * per_unit);
    }
    UNMASK_HOST_DEVICE double in_logits(double distances) const {
        return product_of(distances, static_cast<double>(unit));
    }

private:
    // The value, or the nearest that is a finite float and not subnormal.
    UNMASK_HOST_DEVICE static float float_of(double value) {
        const auto largest = static_cast<double>(largest_float);
        return value < -largest ? -largest_float : value > 0 && value < 0x1p-126 ? 0 : static_cast<float>(value);
    }
};

// 2^(step · distance) as 2^(eighths / 8 + r).
struct weight_exponent {
    float r;
    std::uint32_t eighths; // in the lower bits

    UNMASK_HOST_DEVICE static weight_exponent of(float distance, const weight_rule& rule) {
        const float shifted = rounded(fused(distance, rule.step, eighths_rounder));
        return {fused(distance, rule.step, eighths_rounder - shifted), bits_as<std::uint32_t>(shifted)};
    }
    // The power, by eighth_powers[eighths % 8].
    [[nodiscard]] UNMASK_HOST_DEVICE float power(std::uint32_t eighth_power) const {
        constexpr float terms[] = {power_of_2[0], power_of_2[1], power_of_2[2]};
        const auto whole = bits_as<float>(eighth_power + (eighths << 20));
        return fused(product_of(whole, r), polynomial(r, terms), whole);
    }
};

// exp(distance / temperature) for a rule's distance ≤ 0; exactly 1 at 0, and 0 at −∞. Relative error 1.5e-7, and 6e-8
// times the exponent (1.4e-8 at temperature 1) because `step` is rounded. NaN stays NaN.
inline float weight_of(float distance, const weight_rule& rule) {
    const auto exponent = weight_exponent::of(distance, rule);
    return distance < rule.farthest ? 0 : exponent.power(eighth_powers[exponent.eighths % 8]);
}

} // namespace detail
UNMASK_NAMESPACE_END
