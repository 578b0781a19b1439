// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <concepts>
#include <cstdint>

#include <unmask/config.hpp>

UNMASK_NAMESPACE_BEGIN

namespace detail {
// Device code can't call std::bit_cast without a compiler flag, which the library does not force on users.
template <class To, class From>
UNMASK_HOST_DEVICE constexpr To bits_as(From from) {
    return __builtin_bit_cast(To, from);
}
} // namespace detail

/// A 16-bit storage type with 8 bits of exponent and 7 of fraction. Arithmetic is done in float.
/// Conversion from float rounds to nearest, ties to even; NaN stays NaN.
struct bfloat16 {
    std::uint16_t bits = 0; ///< the upper half of the bits of a float

    /// Zero.
    bfloat16() = default;
    /// The value, rounded.
    UNMASK_HOST_DEVICE constexpr explicit bfloat16(float value) : bits(round(value)) {}
    /// The value, exactly.
    UNMASK_HOST_DEVICE constexpr operator float() const {
        return detail::bits_as<float>(static_cast<std::uint32_t>(bits) << 16);
    }

private:
    UNMASK_HOST_DEVICE static constexpr std::uint16_t round(float value) {
        const auto word = detail::bits_as<std::uint32_t>(value);
        if ((word & 0x7fffffffU) > 0x7f800000U) {
            return static_cast<std::uint16_t>((word >> 16) | 0x40U);
        }
        return static_cast<std::uint16_t>((word + 0x7fffU + ((word >> 16) & 1U)) >> 16);
    }
};

/// IEEE binary16, a 16-bit storage type with 5 bits of exponent and 10 of fraction. Arithmetic is done in float.
/// Conversion from float rounds to nearest, ties to even; a number that is too large becomes infinite; NaN stays NaN.
struct float16 {
    std::uint16_t bits = 0; ///< sign, exponent and fraction, from the highest bit

    /// Zero.
    float16() = default;
    /// The value, rounded.
    UNMASK_HOST_DEVICE constexpr explicit float16(float value) : bits(round(value)) {}
    /// The value, exactly. (Written without a branch, so that compilers vectorise loops of conversions.)
    UNMASK_HOST_DEVICE constexpr operator float() const {
        const std::uint32_t sign = (bits & 0x8000U) << 16;
        const std::uint32_t magnitude = bits & 0x7fffU;
        const std::uint32_t normal = (magnitude << 13) + (112U << 23); // the exponent's bias grows from 15 to 127
        const std::uint32_t infinite_or_nan = 0x7f800000U | (magnitude << 13);
        const auto subnormal =
            detail::bits_as<std::uint32_t>(static_cast<float>(static_cast<std::int32_t>(magnitude)) * 0x1p-24F);
        const std::uint32_t result = magnitude < 0x0400U ? subnormal : magnitude < 0x7c00U ? normal : infinite_or_nan;
        return detail::bits_as<float>(sign | result);
    }

private:
    UNMASK_HOST_DEVICE static constexpr std::uint16_t round(float value) {
        const auto word = detail::bits_as<std::uint32_t>(value);
        const auto sign = static_cast<std::uint16_t>((word >> 16) & 0x8000U);
        const std::uint32_t magnitude = word & 0x7fffffffU;
        if (magnitude > 0x7f800000U) { // NaN
            return static_cast<std::uint16_t>(sign | 0x7e00U);
        }
        if (magnitude >= 0x477ff000U) { // rounds past the largest half, 65504
            return static_cast<std::uint16_t>(sign | 0x7c00U);
        }
        if (magnitude < 0x38800000U) { // subnormal: adding 0.5 lets the hardware round at 2^-24
            const float shifted = detail::bits_as<float>(magnitude) + 0.5F;
            return static_cast<std::uint16_t>(sign | (detail::bits_as<std::uint32_t>(shifted) - 0x3f000000U));
        }
        const std::uint32_t rebased = magnitude - (112U << 23);
        return static_cast<std::uint16_t>(sign | ((rebased + 0xfffU + ((rebased >> 13) & 1U)) >> 13));
    }
};

/// An element type that the attention kernels read and write: float, bfloat16 or float16.
template <class T>
concept storage_type = std::same_as<T, float> || std::same_as<T, bfloat16> || std::same_as<T, float16>;

UNMASK_NAMESPACE_END
