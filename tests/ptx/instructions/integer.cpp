// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "arithmetic.hpp"
#include "handlers.hpp"

// add, sub, mul, mad, div, rem, neg, abs, min and max of integers.
namespace ptx {
namespace {

template <class T>
using twice = std::conditional_t<
    sizeof(T) == 8, std::conditional_t<std::is_signed_v<T>, __int128, unsigned __int128>,
    std::conditional_t<sizeof(T) == 4, std::conditional_t<std::is_signed_v<T>, std::int64_t, std::uint64_t>,
                       std::conditional_t<std::is_signed_v<T>, std::int32_t, std::uint32_t>>>;

template <class T>
T difference(T a, T b) {
    return static_cast<T>(static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b));
}
template <class T>
T lower_product(T a, T b) {
    return static_cast<T>(static_cast<std::uint64_t>(a) * static_cast<std::uint64_t>(b));
}
template <class T>
T upper_product(T a, T b) {
    return static_cast<T>((static_cast<twice<T>>(a) * static_cast<twice<T>>(b)) >> (8 * sizeof(T)));
}
template <class T>
twice<T> wide_product(T a, T b) {
    return static_cast<twice<T>>(a) * static_cast<twice<T>>(b);
}
template <class T>
T lower_sum(T a, T b, T c) {
    return sum<T>(lower_product<T>(a, b), c);
}
template <class T>
T upper_sum(T a, T b, T c) {
    return sum<T>(upper_product<T>(a, b), c);
}
template <class T>
twice<T> wide_sum(T a, T b, twice<T> c) {
    return sum<twice<T>>(wide_product<T>(a, b), c);
}
template <class T>
T negative(T a) {
    return difference<T>(0, a);
}
template <class T>
T magnitude(T a) {
    return a < 0 ? negative<T>(a) : a;
}
// Division by 0 is undefined: all ones, as GPUs do it.
template <class T>
T quotient(T a, T b) {
    if constexpr (std::is_signed_v<T>) {
        return b == 0 ? T{-1} : b == -1 ? negative<T>(a) : static_cast<T>(a / b);
    } else {
        return b == 0 ? static_cast<T>(~T{0}) : static_cast<T>(a / b);
    }
}
template <class T>
T remainder(T a, T b) {
    if constexpr (std::is_signed_v<T>) {
        return b == 0 ? a : b == -1 ? T{0} : static_cast<T>(a % b);
    } else {
        return b == 0 ? a : static_cast<T>(a % b);
    }
}

handler find_product(const wanted& what) {
    const bool adds = what.opcode() == "mad";
    return by_integer(what.type(), [&](auto t) -> handler {
        using type = decltype(t);
        if (what.s.has("hi")) {
            return adds ? each_lane<upper_sum<type>> : each_lane<upper_product<type>>;
        }
        if (what.s.has("lo")) {
            return adds ? each_lane<lower_sum<type>> : each_lane<lower_product<type>>;
        }
        if constexpr (sizeof(type) < 8) {
            if (what.s.has("wide")) {
                return adds ? each_lane<wide_sum<type>> : each_lane<wide_product<type>>;
            }
        }
        return nullptr;
    });
}

} // namespace

handler find_integer(const wanted& what) {
    const std::string& o = what.opcode();
    if (what.s.has("cc")) { // a carry
        return nullptr;
    }
    if (o == "mul" || o == "mad") {
        return find_product(what);
    }
    return by_integer(what.type(), [&](auto t) -> handler {
        using type = decltype(t);
        return o == "add"   ? each_lane<sum<type, false>>
               : o == "sub" ? each_lane<difference<type>>
               : o == "div" ? each_lane<quotient<type>>
               : o == "rem" ? each_lane<remainder<type>>
               : o == "neg" ? each_lane<negative<type>>
               : o == "abs" ? each_lane<magnitude<type>>
               : o == "min" ? each_lane<smallest<type, false>>
               : o == "max" ? each_lane<largest<type, false>>
                            : nullptr;
    });
}

} // namespace ptx
