// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "small_floats.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace ptx {
namespace {

constexpr std::uint16_t nan_bits = 0x7fff;

} // namespace

float half_to_float(std::uint16_t half) {
    const int exponent = half >> 10 & 31;
    const auto fraction = static_cast<float>(half & 1023);
    float magnitude = 0;
    if (exponent == 31) {
        magnitude = fraction != 0 ? std::bit_cast<float>(0x7fffffffU) : std::numeric_limits<float>::infinity();
    } else {
        magnitude = exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
    }
    return (half & 0x8000) != 0 && magnitude == magnitude ? -magnitude : magnitude;
}

float bfloat_to_float(std::uint16_t bfloat) {
    return std::bit_cast<float>(static_cast<std::uint32_t>(bfloat) << 16);
}

std::uint16_t float_to_half(float x) {
    if (x != x) {
        return nan_bits;
    }
    const unsigned sign = std::signbit(x) ? 0x8000 : 0;
    const float magnitude = std::fabs(x);
    if (magnitude >= 65520.0F) { // halfway from the largest half to the next power of two
        return static_cast<std::uint16_t>(sign | 0x7c00);
    }
    const int exponent = magnitude == 0 ? -14 : std::max(std::ilogb(magnitude), -14);
    // In units of the last place, of which a normal number has 1024 to 2047. What is rounded up to 2048 carries into
    // the exponent, and from 1023 into the first normal number, by the addition.
    const auto units = static_cast<unsigned>(std::nearbyint(std::ldexp(magnitude, 10 - exponent)));
    return static_cast<std::uint16_t>(sign | ((static_cast<unsigned>(exponent + 14) << 10) + units));
}

std::uint16_t float_to_bfloat(float x) {
    if (x != x) {
        return nan_bits;
    }
    const auto bits = std::bit_cast<std::uint32_t>(x);
    return static_cast<std::uint16_t>((bits + 0x7fffU + (bits >> 16 & 1)) >> 16);
}

} // namespace ptx
