// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>

#include <doctest/doctest.h>

#include <unmask/random/philox.hpp>
#include <unmask/tensor/float_types.hpp>

using namespace unmask;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr unsigned patterns = 1U << 16;

template <class T>
T from_bits(unsigned bits) {
    T result;
    result.bits = static_cast<std::uint16_t>(bits);
    return result;
}

// The value of a 16-bit pattern, from the definition of the format.
double decode(unsigned bits, int fraction_bits) {
    const int exponent_bits = 15 - fraction_bits;
    const int bias = (1 << (exponent_bits - 1)) - 1;
    const int exponent = static_cast<int>(bits >> fraction_bits) & ((1 << exponent_bits) - 1);
    const double fraction = static_cast<double>(bits & ((1U << fraction_bits) - 1)) * std::ldexp(1.0, -fraction_bits);
    const double sign = (bits & 0x8000U) != 0 ? -1 : 1;
    if (exponent == (1 << exponent_bits) - 1) {
        return fraction != 0 ? std::numeric_limits<double>::quiet_NaN()
                             : sign * std::numeric_limits<double>::infinity();
    }
    return sign * (exponent == 0 ? std::ldexp(fraction, 1 - bias) : std::ldexp(1 + fraction, exponent - bias));
}

// The nearest pattern for a finite magnitude, ties to the even one, by looking at the two neighbours. The pattern after
// the largest finite one stands for the first value out of range, as IEEE 754 rounds.
unsigned nearest(double magnitude, int fraction_bits) {
    const unsigned infinite = ((1U << (15 - fraction_bits)) - 1) << fraction_bits;
    const auto value = [&](unsigned bits) {
        return bits < infinite ? decode(bits, fraction_bits)
                               : 2 * decode(infinite - (1U << fraction_bits), fraction_bits);
    };
    unsigned low = 0;
    unsigned high = infinite;
    while (high - low > 1) { // value(low) ≤ magnitude < value(high), or magnitude is beyond
        const unsigned middle = (low + high) / 2;
        (value(middle) <= magnitude ? low : high) = middle;
    }
    const double below = magnitude - value(low);
    const double above = value(high) - magnitude;
    return below < above || (below == above && low % 2 == 0) ? low : high;
}

template <class T>
std::string describe(float value) {
    return std::to_string(std::bit_cast<std::uint32_t>(value)) + " became " + std::to_string(T(value).bits);
}

// Rounds `value` and its negation as `nearest` says.
template <class T>
bool rounds_right(float value, int fraction_bits) {
    const unsigned expected = nearest(static_cast<double>(std::fabs(value)), fraction_bits);
    return T(std::fabs(value)).bits == expected && T(-std::fabs(value)).bits == (expected | 0x8000U);
}

template <class T>
void check_format(int fraction_bits) {
    static_assert(sizeof(T) == 2 && std::is_trivially_copyable_v<T> && storage_type<T>);
    static_assert(!std::is_convertible_v<float, T> && std::is_convertible_v<T, float>);

    SUBCASE("every pattern has its value and survives a round trip") {
        long wrong = 0;
        for (unsigned bits = 0; bits < patterns; ++bits) {
            const auto stored = from_bits<T>(bits);
            const auto value = static_cast<float>(stored);
            const double expected = decode(bits, fraction_bits);
            if (std::isnan(expected)) {
                wrong += std::isnan(value) && std::isnan(static_cast<float>(T(value))) ? 0 : 1;
            } else {
                wrong += static_cast<double>(value) == expected && T(value).bits == bits ? 0 : 1;
            }
        }
        CHECK(wrong == 0);
    }

    SUBCASE("between two neighbours: the middle goes to the even one, a hair beside it to the nearer") {
        const unsigned infinite = ((1U << (15 - fraction_bits)) - 1) << fraction_bits;
        long wrong = 0;
        std::string first;
        for (unsigned bits = 0; bits + 1 < infinite; ++bits) {
            const double low = decode(bits, fraction_bits);
            const auto middle = static_cast<float>((low + decode(bits + 1, fraction_bits)) / 2); // exact in float
            for (const float value : {std::nextafter(middle, 0.0F), middle, std::nextafter(middle, infinity)}) {
                if (!rounds_right<T>(value, fraction_bits)) {
                    first = wrong++ == 0 ? describe<T>(value) : first;
                }
            }
        }
        CAPTURE(first);
        CHECK(wrong == 0);
    }

    SUBCASE("random floats round to the nearest") {
        const std::uint32_t seed = 20260101;
        CAPTURE(seed);
        long wrong = 0;
        std::string first;
        for (std::uint32_t i = 0; i < 50000; ++i) {
            for (const std::uint32_t word : philox{{seed, 0}}({i, 0, 0, 0})) {
                const auto value = std::bit_cast<float>(word);
                const bool right = std::isnan(value)   ? std::isnan(static_cast<float>(T(value)))
                                   : std::isinf(value) ? static_cast<float>(T(value)) == value
                                                       : rounds_right<T>(value, fraction_bits);
                if (!right) {
                    first = wrong++ == 0 ? describe<T>(value) : first;
                }
            }
        }
        CAPTURE(first);
        CHECK(wrong == 0);
    }

    SUBCASE("ends of the range") {
        CHECK(static_cast<float>(T(infinity)) == infinity);
        CHECK(static_cast<float>(T(-infinity)) == -infinity);
        CHECK(static_cast<float>(T(std::numeric_limits<float>::max())) == infinity);
        CHECK(T(0.0F).bits == 0);
        CHECK(T(-0.0F).bits == 0x8000U);
        CHECK(T(std::numeric_limits<float>::denorm_min()).bits == 0);
        CHECK(std::isnan(static_cast<float>(T(std::bit_cast<float>(0x7f800001U))))); // a payload in the low bits only
        CHECK(std::isnan(static_cast<float>(T(std::bit_cast<float>(0xffc00000U)))));
    }
}

} // namespace

TEST_CASE("bfloat16") {
    check_format<bfloat16>(7);
}

TEST_CASE("float16") {
    check_format<float16>(10);
    static_assert(float16(65504.0F).bits == 0x7bffU && float16(65519.9F).bits == 0x7bffU);
    static_assert(float16(65520.0F).bits == 0x7c00U);
    static_assert(float16(0x1p-24F).bits == 1 && float16(0x1p-25F).bits == 0 && float16(0x1.8p-24F).bits == 2);
}

#if defined(__FLT16_MANT_DIG__)
TEST_CASE("float16 rounds as the compiler's own type does") {
    const std::uint32_t seed = 7;
    CAPTURE(seed);
    long wrong = 0;
    for (std::uint32_t i = 0; i < 200000; ++i) {
        // Magnitudes from 2^-27 to 2^17, so that subnormal, normal and too large ones all occur.
        const std::uint32_t word = philox{{seed, 0}}({i, 0, 0, 0})[0];
        const auto value = std::bit_cast<float>((word & 0x807fffffU) | ((100U + (word >> 23 & 0xffU) % 45U) << 23));
        wrong += std::bit_cast<std::uint16_t>(static_cast<_Float16>(value)) == float16(value).bits ? 0 : 1;
    }
    CHECK(wrong == 0);
}
#endif

TEST_CASE("storage types are those that kernels read") {
    static_assert(storage_type<float> && storage_type<bfloat16> && storage_type<float16>);
    static_assert(!storage_type<double> && !storage_type<int> && !storage_type<const float>);
}
