// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <type_traits>

#include <unmask/config.hpp>

UNMASK_NAMESPACE_BEGIN

namespace detail {
// An element of an array. Device code can't call std::array's own members without a compiler flag, which the library
// does not force on users.
template <class T, std::size_t Size>
UNMASK_HOST_DEVICE constexpr T element(const std::array<T, Size>& array, std::size_t i) {
#if defined(__CUDA_ARCH__)
    struct plain {
        T items[Size];
    };
    return __builtin_bit_cast(plain, array).items[i];
#else
    return array[i];
#endif
}
} // namespace detail

/// A non-owning view of a tensor.
///
/// Strides count elements; the innermost stride is 1. A view with a null pointer is empty: it stands for a tensor that
/// was not given. A view is cheap to copy and never allocates.
template <class T, std::size_t Rank>
struct tensor_view {
    using element_type = T;                   ///< const for a view that only reads
    static constexpr std::size_t rank = Rank; ///< number of dimensions

    T* data = nullptr;                   ///< the element at index 0 of every dimension
    std::array<index_t, Rank> extents{}; ///< number of elements along each dimension
    std::array<index_t, Rank> strides{}; ///< distance between neighbours along each dimension, in elements

    /// The element at the given indices, which are not checked.
    template <std::convertible_to<index_t>... Indices>
        requires(sizeof...(Indices) == Rank)
    UNMASK_HOST_DEVICE constexpr T& operator()(Indices... indices) const {
        return *pointer(static_cast<index_t>(indices)...);
    }

    /// The address of the element at the given indices; omitted indices are 0.
    template <std::convertible_to<index_t>... Indices>
        requires(sizeof...(Indices) <= Rank)
    UNMASK_HOST_DEVICE constexpr T* pointer(Indices... indices) const {
        index_t offset = 0;
        std::size_t dimension = 0;
        ((offset += static_cast<index_t>(indices) * detail::element(strides, dimension++)), ...);
        return data + offset;
    }

    /// Number of elements.
    [[nodiscard]] constexpr index_t size() const {
        index_t product = 1;
        for (const index_t extent : extents) {
            product *= extent;
        }
        return product;
    }

    /// True if the view refers to no tensor.
    [[nodiscard]] constexpr bool empty() const { return data == nullptr; }

    /// Converts a view of T to a view of const T.
    template <std::same_as<const T> Constant>
        requires(!std::is_const_v<T>)
    constexpr operator tensor_view<Constant, Rank>() const {
        return {data, extents, strides};
    }

    // Named here only for the compiler's message, which would otherwise be about `data`.
    template <class Element, std::size_t OtherRank>
        requires(OtherRank != Rank)
    constexpr operator tensor_view<Element, OtherRank>() const = delete; // wrong rank: view(pointer, all extents...)
};

/// A view of dense row-major memory: `view(pointer, batch, length, heads, head_dim)`.
template <class T, std::convertible_to<index_t>... Extents>
constexpr tensor_view<T, sizeof...(Extents)> view(T* data, Extents... extents) {
    tensor_view<T, sizeof...(Extents)> result{data, {static_cast<index_t>(extents)...}, {}};
    index_t stride = 1;
    for (std::size_t dimension = sizeof...(Extents); dimension-- > 0;) {
        result.strides[dimension] = stride;
        stride *= result.extents[dimension];
    }
    return result;
}

/// A view of a contiguous range with data() and size(): a span, a vector, a std::array. Its rank is 1.
template <class Range>
    requires requires(Range& range) {
        range.data();
        range.size();
    }
constexpr auto view(Range&& range) {
    return view(range.data(), static_cast<index_t>(range.size()));
}

/// A view of an mdspan-like object: data_handle(), extent(i), stride(i), rank().
template <class Mdspan>
    requires requires(const Mdspan& span) {
        span.data_handle();
        span.extent(0);
        span.stride(0);
    }
constexpr auto view(const Mdspan& span) {
    using element = std::remove_pointer_t<decltype(span.data_handle())>;
    tensor_view<element, static_cast<std::size_t>(Mdspan::rank())> result{span.data_handle(), {}, {}};
    for (std::size_t dimension = 0; dimension < result.rank; ++dimension) {
        result.extents[dimension] = static_cast<index_t>(span.extent(dimension));
        result.strides[dimension] = static_cast<index_t>(span.stride(dimension));
    }
    return result;
}

UNMASK_NAMESPACE_END
