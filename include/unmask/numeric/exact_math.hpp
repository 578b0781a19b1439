// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstdint>

#include <unmask/config.hpp>
#include <unmask/numeric/detail/base_2.hpp>
#include <unmask/numeric/detail/rounded_arithmetic.hpp>
#include <unmask/numeric/rounded.hpp>
#include <unmask/tensor/float_types.hpp>

// exp and logarithms from operations alone that IEEE 754 fixes to the last bit (+, −, ·, /, fused multiply-add) and
// from integer ones, so that every processor gets the same bits. Where a compiler could contract or reorder, by its
// defaults or by -ffast-math, a value goes through rounded(). (clang's -ffast-math for processors without fused
// multiply-add does as it likes with those.)

UNMASK_NAMESPACE_BEGIN
namespace detail {

// k · ln 2 + log(1 + f) + rest, for 1 + f in [√½, √2] and a tiny rest.
UNMASK_HOST_DEVICE inline double log_of_parts(double k, double f, double rest) {
    constexpr double ln2_high = 0x1.62e42fee00000p-1; // its product with a whole number of 11 bits is exact
    constexpr double ln2_low = 0x1.a39ef35793c76p-33;
    constexpr double terms[] = {0x1.5555555555592p-1, 0x1.999999997fd36p-2, 0x1.24924941f8d4cp-2, 0x1.c71c5202b0e5ep-3,
                                0x1.7466405c353acp-3, 0x1.39a1932fa04b9p-3, 0x1.2f0705c665128p-3};
    // With s = f / (2 + f), log(1 + f) is 2s + s·R(s²) = f − s·(f − R).
    const double s = quotient(f, 2 + f);
    const double square = product_of(s, s);
    const double series = product_of(square, polynomial(square, terms));
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

} // namespace detail

namespace exact {

/// exp(x) for x ≤ 0, relative error 3e-16; 0 from −708 down.
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
    const double n = rounded(product_of(x, inverse_ln2) + rounder) - rounder;
    const double r = detail::fused(-n, ln2_low, detail::fused(-n, ln2_high, x));
    const double power = detail::polynomial(r, terms);
    return detail::bits_as<double>(detail::bits_as<std::int64_t>(power) +
                                   static_cast<std::int64_t>(n) * (std::int64_t{1} << 52));
}

/// log(1 + x) for x > −0.7, relative error 3e-16.
UNMASK_HOST_DEVICE inline double log_of_1_plus(double x) {
    const double sum = rounded(1 + x);
    const double of_x = rounded(sum - 1); // what of x and of 1 is in the sum; the rest is exact
    const double of_1 = rounded(sum - of_x);
    return detail::log_of_sum(sum, rounded(rounded(1 - of_1) + rounded(x - of_x)));
}

/// log(1 − x) for x in (0, 1).
UNMASK_HOST_DEVICE inline double log_of_1_minus(double x) {
    return x < 0.7 ? log_of_1_plus(-x) : detail::log_of_sum(1 - x, 0); // from ½ on, the difference is exact
}

/// log x for x in [0, 1]; −∞ at 0.
UNMASK_HOST_DEVICE inline double log_of_probability(double x) {
    if (x < 0x1p-1022) { // 0, or subnormal: a normal number and 54 ln 2 less
        return x > 0 ? detail::log_of_sum(x * 0x1p54, 0) - 0x1.2b708872320e2p5
                     : static_cast<double>(detail::minus_infinity);
    }
    return detail::log_of_sum(x, 0);
}

/// 1 − exp(x) for x ≤ 0, relative error 4e-16.
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
    return x < -0.69 ? 1 - exp_nonpositive(x) : product_of(-x, detail::polynomial(x, terms)); // exp(x) is below 0.51
}

/// log(1 − exp(x)) for x ≤ 0; −∞ at 0.
UNMASK_HOST_DEVICE inline double log_of_1_minus_exp(double x) {
    if (x < -0.69) {
        return log_of_1_plus(-exp_nonpositive(x));
    }
    return log_of_probability(one_minus_exp(x));
}

} // namespace exact

namespace detail {

using exact::exp_nonpositive;
using exact::log_of_1_minus;
using exact::log_of_1_minus_exp;
using exact::log_of_1_plus;
using exact::log_of_probability;
using exact::one_minus_exp;

} // namespace detail
UNMASK_NAMESPACE_END
