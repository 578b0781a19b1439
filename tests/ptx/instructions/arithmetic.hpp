// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstdint>
#include <limits>
#include <type_traits>

#include "lane_function.hpp"

// Sums and order, which instructions of several kinds need.
namespace ptx {

template <class T, bool Flushes = false>
T sum(T a, T b) {
    if constexpr (std::is_floating_point_v<T>) {
        return flushed<Flushes>(settled(flushed<Flushes>(a) + flushed<Flushes>(b)));
    } else {
        return static_cast<T>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
    }
}

// The other one if one is NaN; −0 is below 0.
template <class T, bool Flushes = false>
T smallest(T a, T b) {
    if constexpr (std::is_floating_point_v<T>) {
        a = flushed<Flushes>(a);
        b = flushed<Flushes>(b);
        const T least = a < b || (a == b && std::signbit(a)) ? a : b;
        return settled(b != b ? a : a != a ? b : least);
    } else {
        return a < b ? a : b;
    }
}
template <class T, bool Flushes = false>
T largest(T a, T b) {
    if constexpr (std::is_floating_point_v<T>) {
        a = flushed<Flushes>(a);
        b = flushed<Flushes>(b);
        const T most = a > b || (a == b && !std::signbit(a)) ? a : b;
        return settled(b != b ? a : a != a ? b : most);
    } else {
        return a > b ? a : b;
    }
}

} // namespace ptx
