// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>

#include <unmask/config.hpp>
#include <unmask/tensor/float_types.hpp>

UNMASK_NAMESPACE_BEGIN

/// What the numbers of a stored tensor are, from the narrowest on.
enum class number_type {
    boolean, ///< BOOL: a byte, 0 or 1
    u8,      ///< U8: std::uint8_t
    i8,      ///< I8: std::int8_t
    u16,     ///< U16: std::uint16_t
    i16,     ///< I16: std::int16_t
    f16,     ///< F16: float16
    bf16,    ///< BF16: bfloat16
    u32,     ///< U32: std::uint32_t
    i32,     ///< I32: std::int32_t
    f32,     ///< F32: float
    u64,     ///< U64: std::uint64_t
    i64,     ///< I64: std::int64_t
    f64      ///< F64: double
};

namespace detail {

inline constexpr std::array<std::string_view, 13> number_names = {"BOOL", "U8",  "I8",  "U16", "I16", "F16", "BF16",
                                                                  "U32",  "I32", "F32", "U64", "I64", "F64"};

// Calls use(std::type_identity<T>{}) with the type of the numbers; a BOOL's is bool.
template <class Use>
constexpr auto with_number_type(number_type type, const Use& use) {
    switch (type) {
    case number_type::boolean:
        return use(std::type_identity<bool>{});
    case number_type::u8:
        return use(std::type_identity<std::uint8_t>{});
    case number_type::i8:
        return use(std::type_identity<std::int8_t>{});
    case number_type::u16:
        return use(std::type_identity<std::uint16_t>{});
    case number_type::i16:
        return use(std::type_identity<std::int16_t>{});
    case number_type::f16:
        return use(std::type_identity<float16>{});
    case number_type::bf16:
        return use(std::type_identity<bfloat16>{});
    case number_type::u32:
        return use(std::type_identity<std::uint32_t>{});
    case number_type::i32:
        return use(std::type_identity<std::int32_t>{});
    case number_type::f32:
        return use(std::type_identity<float>{});
    case number_type::u64:
        return use(std::type_identity<std::uint64_t>{});
    case number_type::i64:
        return use(std::type_identity<std::int64_t>{});
    default:
        return use(std::type_identity<double>{});
    }
}

template <class T>
constexpr std::optional<number_type> find_number_type() {
    for (std::size_t i = 1; i < number_names.size(); ++i) { // a bool's bytes may be others than 0 and 1
        const auto type = static_cast<number_type>(i);
        if (with_number_type(type, [](auto number) { return std::same_as<typename decltype(number)::type, T>; })) {
            return type;
        }
    }
    return {};
}

} // namespace detail

/// A type of numbers that a stored tensor can be seen as: double, float, float16, bfloat16, or an integer of 8 to 64
/// bits.
template <class T>
concept stored_number = detail::find_number_type<T>().has_value();

/// The number_type of T.
template <stored_number T>
inline constexpr number_type number_type_of = detail::find_number_type<T>().value();

/// The format's name of a type, such as "BF16".
constexpr std::string_view name_of(number_type type) {
    return detail::number_names[static_cast<std::size_t>(type)];
}

/// The bytes of a number.
constexpr std::size_t bytes_of(number_type type) {
    return detail::with_number_type(type, [](auto number) { return sizeof(typename decltype(number)::type); });
}

UNMASK_NAMESPACE_END
