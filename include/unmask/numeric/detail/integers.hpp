// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <type_traits>

#include <unmask/config.hpp>

// std::min and std::max are not callable in device code without a compiler flag that we do not force on users.

UNMASK_NAMESPACE_BEGIN
namespace detail {

template <class A, class B>
UNMASK_HOST_DEVICE constexpr std::common_type_t<A, B> smaller(A a, B b) {
    return b < a ? b : a;
}
template <class A, class B>
UNMASK_HOST_DEVICE constexpr std::common_type_t<A, B> larger(A a, B b) {
    return a < b ? b : a;
}

// How many tiles cover a length.
template <class T>
UNMASK_HOST_DEVICE constexpr T tiles_of(T length, std::type_identity_t<T> tile) {
    return (length + tile - 1) / tile;
}

} // namespace detail
UNMASK_NAMESPACE_END
