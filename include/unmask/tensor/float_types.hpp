// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <concepts>
#include <cstdint>

#include <unmask/config.hpp>

UNMASK_NAMESPACE_BEGIN

namespace detail {
// std::bit_cast is not callable in device code without a compiler flag that we do not force on users.
template <class To, class From>
UNMASK_HOST_DEVICE constexpr To bits_as(From from) {
    return __builtin_bit_cast(To, from);
}
} // namespace detail

/// Sixteen bits of storage: 8 of exponent, 7 of fraction. Arithmetic is done in float.
/// Conversion from float rounds to nearest, ties to even; NaN stays NaN.
struct bfloat16 {
    std::uint16_t bits = 0;

    bfloat16() = default;
    UNMASK_HOST_DEVICE constexpr explicit bfloat16(float value) : bits(round(value)) {}
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

/// Sixteen bits of storage, IEEE binary16: 5 of exponent, 10 of fraction. Arithmetic is done in float.
/// Conversion from float rounds to nearest, ties to even; what is too large becomes infinite; NaN stays NaN.
struct float16 {
    std::uint16_t bits = 0;

    float16() = default;
    UNMASK_HOST_DEVICE constexpr explicit float16(float value) : bits(round(value)) {}
    // Without a branch, so that compilers turn loops of conversions into vector code.
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

/// The element types that the attention kernels read and write.
template <class T>
concept storage_type = std::same_as<T, float> || std::same_as<T, bfloat16> || std::same_as<T, float16>;

UNMASK_NAMESPACE_END
