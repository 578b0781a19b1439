// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstdint>
#include <limits>

#include <unmask/config.hpp>
#include <unmask/tensor/base_2.hpp>
#include <unmask/tensor/float_types.hpp>

// exp and logarithms from operations alone that IEEE 754 fixes to the last bit (+, −, ·, /, fused multiply-add) and from
// integer ones, so that every processor gets the same bits. Where a compiler could contract or reorder, by its defaults
// or by -ffast-math, a value goes through rounded(). (clang's -ffast-math for processors without fused multiply-add does
// as it likes with those.)

UNMASK_NAMESPACE_BEGIN
namespace detail {

// The value itself, which the compiler can't see through: what was computed is rounded here.
UNMASK_HOST_DEVICE inline float rounded(float value) {
#if defined(__CUDA_ARCH__)
    asm("" : "+f"(value));
#elif defined(__SSE2__)
    asm("" : "+x"(value));
#elif defined(__aarch64__)
    asm("" : "+w"(value));
#else
    asm("" : "+m"(value));
#endif
    return value;
}

UNMASK_HOST_DEVICE inline double rounded(double value) {
#if defined(__CUDA_ARCH__)
    asm volatile("" : "+d"(value));
#elif defined(__SSE2__)
    asm volatile("" : "+x"(value));
#elif defined(__aarch64__)
    asm volatile("" : "+w"(value));
#else
    asm volatile("" : "+m"(value));
#endif
    return value;
}

// From the bits: -ffast-math folds std::isnan away.
UNMASK_HOST_DEVICE inline bool is_nan(double value) {
    return (bits_as<std::uint64_t>(value) << 1) > 0xffe0000000000000U;
}

// a · b, rounded. On a GPU, subnormal numbers count whatever the compiler was told.
UNMASK_HOST_DEVICE inline float product_of(float a, float b) {
#if defined(__CUDA_ARCH__)
    float result;
    asm("mul.rn.f32 %0, %1, %2;" : "=f"(result) : "f"(a), "f"(b));
    return result;
#else
    return rounded(a * b);
#endif
}

// a / b. Each has a divisor of its own, or -ffast-math would multiply by its inverse.
UNMASK_HOST_DEVICE inline double quotient(double a, double b) {
    return rounded(a / rounded(b));
}

// a · b + c, rounded once.
UNMASK_HOST_DEVICE inline float fused(float a, float b, float c) {
#if defined(__CUDA_ARCH__)
    float result;
    asm("fma.rn.f32 %0, %1, %2, %3;" : "=f"(result) : "f"(a), "f"(b), "f"(c));
    return result;
#else
    return rounded(__builtin_fmaf(a, b, c));
#endif
}
UNMASK_HOST_DEVICE inline double fused(double a, double b, double c) {
    return rounded(__builtin_fma(a, b, c));
}

// Σ coefficients[i] · x^(i − First), from First on. Not a loop: compilers would leave it one.
template <int First = 0, class T, int Count>
UNMASK_HOST_DEVICE T polynomial(T x, const T (&coefficients)[Count]) {
    if constexpr (First + 1 == Count) {
        return coefficients[First];
    } else {
        return fused(polynomial<First + 1>(x, coefficients), x, coefficients[First]);
    }
}

// Added to a number of size below 2^19 and subtracted again, it leaves the nearest multiple of 1/8.
inline constexpr float eighths_rounder = 0x1.8p20F;

// 2^r for |r| ≤ 1/16 is 1 + r · (these), relative error 3e-8.
inline constexpr float power_of_2[] = {0x1.62e432p-1F, 0x1.ec0c22p-3F, 0x1.c690eap-5F};

// The bits of 2^(i/8), less i · 2^20: with e eighths shifted up by 20, entry e mod 8 makes 2^(e/8).
inline constexpr std::uint32_t eighth_powers[] = {0x3f800000U, 0x3f7b95c2U, 0x3f7837f0U, 0x3f75fed7U,
                                                  0x3f7504f3U, 0x3f75672aU, 0x3f7744fdU, 0x3f7ac0c7U};

// The distances from a chunk's highest logit at one temperature, as weights: 2^(step · distance).
struct weight_rule {
    double scale;   // 1 / temperature
    float step;     // log2(e) / temperature
    float farthest; // from here down the weight is 0: e^−87, so that no weight is subnormal

    UNMASK_HOST_DEVICE explicit weight_rule(double inverse_temperature)
        : scale(inverse_temperature),
          step(static_cast<float>(larger_of(1e-30, smaller_of(inverse_temperature, 1e30)) * 1.4426950408889634)),
          farthest(static_cast<float>(-smaller_of(87 / larger_of(inverse_temperature, 1e-30), 3e38))) {}

private:
    UNMASK_HOST_DEVICE static double smaller_of(double a, double b) { return a < b ? a : b; }
    UNMASK_HOST_DEVICE static double larger_of(double a, double b) { return a < b ? b : a; }
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

// exp(distance / temperature) for distance ≤ 0; exactly 1 at 0, and 0 at −∞. Relative error 1.5e-7, and 6e-8 times the
// exponent (1.4e-8 at temperature 1) because `step` is rounded. NaN stays NaN.
inline float weight_of(float distance, const weight_rule& rule) {
    const auto exponent = weight_exponent::of(distance, rule);
    return distance < rule.farthest ? 0 : exponent.power(eighth_powers[exponent.eighths % 8]);
}

// exp(x) for x ≤ 0, relative error 3e-16; 0 from −708 down.
UNMASK_HOST_DEVICE inline double exp_nonpositive(double x) {
    constexpr double inverse_ln2 = 1.4426950408889634;
    constexpr double ln2_high = 0x1.62e42fefa3800p-1; // its product with a whole number of 10 bits is exact
    constexpr double ln2_low = 0x1.ef35793c76730p-45;
    constexpr double rounder = 0x1.8p52;
    constexpr double terms[] = {1.0,
                                1.0,
                                0x1.0000000000009p-1,
                                0x1.5555555555558p-3,
                                0x1.555555555034dp-5,
                                0x1.111111110f7d5p-7,
                                0x1.6c16c18625d6ap-10,
                                0x1.a01a01b02246cp-13,
                                0x1.a019934df6373p-16,
                                0x1.71ddf6757d7e1p-19,
                                0x1.28b4706afed1bp-22,
                                0x1.af63a06ec766ep-26};
    if (!(x > -708)) {
        return 0;
    }
    const double n = rounded(rounded(x * inverse_ln2) + rounder) - rounder;
    const double r = fused(-n, ln2_low, fused(-n, ln2_high, x));
    const double power = polynomial(r, terms);
    return bits_as<double>(bits_as<std::int64_t>(power) + static_cast<std::int64_t>(n) * (std::int64_t{1} << 52));
}

// k · ln 2 + log(1 + f) + rest, for 1 + f in [√½, √2] and a tiny rest.
UNMASK_HOST_DEVICE inline double log_of_parts(double k, double f, double rest) {
    constexpr double ln2_high = 0x1.62e42fee00000p-1; // its product with a whole number of 11 bits is exact
    constexpr double ln2_low = 0x1.a39ef35793c76p-33;
    constexpr double terms[] = {0x1.5555555555592p-1, 0x1.999999997fd36p-2, 0x1.24924941f8d4cp-2, 0x1.c71c5202b0e5ep-3,
                                0x1.7466405c353acp-3, 0x1.39a1932fa04b9p-3, 0x1.2f0705c665128p-3};
    // With s = f / (2 + f), log(1 + f) is 2s + s·R(s²) = f − s·(f − R).
    const double s = quotient(f, 2 + f);
    const double square = rounded(s * s);
    const double series = rounded(square * polynomial(square, terms));
    const double low = fused(k, ln2_low, rest);
    const double correction = fused(s, rounded(f - series), -low);
    return fused(k, ln2_high, rounded(f - correction));
}

// log(value + rest) for a positive normal value and a rest below its last bit.
UNMASK_HOST_DEVICE inline double log_of_sum(double value, double rest) {
    // The exponent, of a significand in [√½, √2).
    const auto bits = bits_as<std::uint64_t>(value) + (0x3ff0000000000000U - 0x3fe6a09e667f3bcdU);
    const auto k = static_cast<std::int64_t>(bits >> 52) - 1023;
    const auto significand = bits_as<double>((bits & 0x000fffffffffffffU) + 0x3fe6a09e667f3bcdU);
    return log_of_parts(static_cast<double>(k), rounded(significand - 1), quotient(rest, value));
}

// log(1 + x) for x > −0.7, relative error 3e-16.
UNMASK_HOST_DEVICE inline double log_of_1_plus(double x) {
    const double sum = rounded(1 + x);
    const double of_x = rounded(sum - 1); // what of x and of 1 is in the sum; the rest is exact
    const double of_1 = rounded(sum - of_x);
    return log_of_sum(sum, rounded(rounded(1 - of_1) + rounded(x - of_x)));
}

// log(1 − x) for x in (0, 1).
UNMASK_HOST_DEVICE inline double log_of_1_minus(double x) {
    return x < 0.7 ? log_of_1_plus(-x) : log_of_sum(1 - x, 0); // from ½ on, the difference is exact
}

// log x for x in [0, 1]; −∞ at 0.
UNMASK_HOST_DEVICE inline double log_of_probability(double x) {
    return x > 0 ? log_of_sum(x, 0) : static_cast<double>(minus_infinity);
}

// 1 − exp(x) for x ≤ 0, relative error 4e-16.
UNMASK_HOST_DEVICE inline double one_minus_exp(double x) {
    constexpr double terms[] = {1.0,
                                0x1.fffffffffffffp-2,
                                0x1.55555555554b2p-3,
                                0x1.5555555550c29p-5,
                                0x1.111111100b409p-7,
                                0x1.6c16c127daeb3p-10,
                                0x1.a019f668f9342p-13,
                                0x1.a018cb6ad8f9ep-16,
                                0x1.71c7d7197c40bp-19,
                                0x1.26d2855ca1f2ep-22,
                                0x1.9d8a3eb328279p-26,
                                0x1.a16076c213badp-30};
    return x < -0.69 ? 1 - exp_nonpositive(x) : rounded(-x * polynomial(x, terms)); // exp(x) is below 0.51
}

// log(1 − exp(x)) for x ≤ 0; −∞ at 0.
UNMASK_HOST_DEVICE inline double log_of_1_minus_exp(double x) {
    if (x < -0.69) {
        return log_of_1_plus(-exp_nonpositive(x));
    }
    return x < 0 ? log_of_sum(one_minus_exp(x), 0) : static_cast<double>(minus_infinity);
}

} // namespace detail
UNMASK_NAMESPACE_END
