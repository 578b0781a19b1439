// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/error.hpp>
#include <unmask/io/file_error.hpp>
#include <unmask/io/number_type.hpp>
#include <unmask/io/shown.hpp>
#include <unmask/tensor/tensor_view.hpp>

UNMASK_NAMESPACE_BEGIN

namespace detail {
inline std::string shown_shape(std::span<const index_t> shape) {
    std::string text = "[";
    for (const index_t extent : shape) {
        text += text.size() == 1 ? "" : ", ";
        text += std::to_string(extent);
    }
    return text += ']';
}
} // namespace detail

/// The numbers of a tensor in row-major order, and what keeps them alive.
template <stored_number T>
struct tensor_values {
    std::vector<index_t> shape;         ///< none for a single number
    std::span<const T> values;          ///< as many as the product of the shape
    std::shared_ptr<const void> memory; ///< owns the values; empty if somebody else does

    /// The same as a view. Throws invalid_argument if the tensor has another rank.
    template <std::size_t Rank>
    [[nodiscard]] tensor_view<const T, Rank> view() const {
        if (shape.size() != Rank) {
            throw invalid_argument("tensor_values::view", "the shape", detail::shown_shape(shape),
                                   std::to_string(Rank) + " extents");
        }
        tensor_view<const T, Rank> result{values.data(), {}, {}};
        index_t stride = 1;
        for (std::size_t dimension = Rank; dimension-- > 0;) {
            result.extents[dimension] = shape[dimension];
            result.strides[dimension] = stride;
            stride *= shape[dimension];
        }
        return result;
    }
};

/// A tensor in a file or on its way to one: bytes, and what they are. Cheap to copy.
struct stored_tensor {
    number_type type = number_type::f32; ///< of its numbers, which are little-endian
    std::vector<index_t> shape;          ///< none for a single number
    std::span<const std::byte> bytes;    ///< the numbers in row-major order, aligned or not
    std::shared_ptr<const void> memory;  ///< owns the bytes; empty if somebody else does
    std::string file = "memory";         ///< for messages
    std::string name;                    ///< for messages

    /// Nothing.
    stored_tensor() = default;

    /// The tensor with these values, which are not copied. Throws invalid_argument if they are not as many as the shape
    /// says.
    template <stored_number T>
    stored_tensor(tensor_values<T> tensor)
        : type(number_type_of<T>), shape(std::move(tensor.shape)), bytes(std::as_bytes(tensor.values)),
          memory(std::move(tensor.memory)) {
        if (!has_its_size()) {
            throw invalid_argument("stored_tensor", "the number of values", std::to_string(tensor.values.size()),
                                   "that of the shape " + detail::shown_shape(shape));
        }
    }

    /// Are there as many bytes as type and shape say?
    [[nodiscard]] bool has_its_size() const {
        std::uint64_t expected = bytes_of(type);
        for (const index_t extent : shape) {
            if (extent < 0 || __builtin_mul_overflow(expected, static_cast<std::uint64_t>(extent), &expected)) {
                return false;
            }
        }
        return expected == bytes.size();
    }

    /// How many numbers it has.
    [[nodiscard]] std::size_t size() const { return bytes.size() / bytes_of(type); }

    /// Are the bytes numbers of type T, at an address for them? Then `as<T>` makes no copy.
    template <stored_number T>
    [[nodiscard]] bool is() const {
        return type == number_type_of<T> && reinterpret_cast<std::uintptr_t>(bytes.data()) % alignof(T) == 0;
    }

    /// The numbers as T: the stored bytes themselves if they are such numbers, which costs nothing and reads nothing,
    /// otherwise a converted copy. Floating-point numbers come from any type, rounded to nearest (16-bit ones through
    /// float); integers come from integers that fit. Throws file_error, naming file and tensor, at any other.
    template <stored_number T>
    [[nodiscard]] tensor_values<T> as() const {
        if (is<T>()) {
            return {shape, {reinterpret_cast<const T*>(bytes.data()), size()}, memory};
        }
        const auto copy = std::make_shared<std::vector<T>>(size());
        detail::with_number_type(type, [&](auto number) { convert<typename decltype(number)::type>(*copy); });
        return {shape, *copy, copy};
    }

private:
    template <class From, class To>
    void convert(std::vector<To>& values) const {
        if constexpr (std::integral<To> && !std::integral<From>) {
            throw file_error(file, "dtype of tensor " + shown(name), shown(name_of(type)),
                             "integers, to be read as " + std::string(name_of(number_type_of<To>)));
        } else {
            const std::byte* from = bytes.data();
            for (To& value : values) {
                value = converted<To>(number_at<From>(from));
                from += sizeof(From);
            }
        }
    }

    // A number at any address. A byte that says true or false may have any value.
    template <class From>
    static auto number_at(const std::byte* from) {
        if constexpr (std::same_as<From, bool>) {
            return static_cast<std::uint8_t>(*from != std::byte{0} ? 1 : 0);
        } else {
            From number;
            std::memcpy(&number, from, sizeof number);
            return number;
        }
    }

    template <class To, class From>
    To converted(From number) const {
        if constexpr (std::integral<To>) {
            if (!std::in_range<To>(number)) {
                throw file_error(file, "a number of tensor " + shown(name), std::to_string(number),
                                 "one of " + std::string(name_of(number_type_of<To>)));
            }
            return static_cast<To>(number);
        } else if constexpr (std::same_as<To, double> && std::is_arithmetic_v<From>) {
            return static_cast<double>(number);
        } else {
            return To(static_cast<float>(number));
        }
    }
};

UNMASK_NAMESPACE_END
