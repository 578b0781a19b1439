// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <limits>

#include "handlers.hpp"
#include "lane_function.hpp"
#include "small_floats.hpp"

// cvt.
namespace ptx {
namespace {

enum rounding : std::uint8_t { to_nearest, to_zero, down, up };

template <class T>
T rounded(T x, std::uint8_t how) {
    return how == to_zero ? std::trunc(x) : how == down ? std::floor(x) : how == up ? std::ceil(x) : std::nearbyint(x);
}

// What is too large becomes the end of the range. NaN becomes 0, or, with 64 bits on either side, the highest bit.
template <class To, class From>
To to_integer(From x, std::uint8_t how) {
    constexpr int bits = static_cast<int>(8 * sizeof(To));
    if (x != x) {
        return sizeof(From) == 8 || sizeof(To) == 8 ? static_cast<To>(std::uint64_t{1} << (bits - 1)) : To{0};
    }
    const From whole = rounded(x, how);
    const From end = std::ldexp(From{1}, std::is_signed_v<To> ? bits - 1 : bits); // exact
    return whole >= end                                      ? std::numeric_limits<To>::max()
           : whole < (std::is_signed_v<To> ? -end : From{0}) ? std::numeric_limits<To>::min()
                                                             : static_cast<To>(whole);
}
template <class To, class From>
void real_to_integer(warp& w, const instruction& i) {
    alignas(64) slot<To> results[lanes];
    const auto* from = w.slots<slot<From>>(i.s[0]);
    for (int l = 0; l < lanes; ++l) {
        const auto x = from_slot<From>(from[l]);
        results[l] = to_slot<To>(to_integer<To>(i.flushes ? flushed<true>(x) : x, i.mode));
    }
    put(w, i.d[0], results, w.mask);
}
template <class T>
void real_to_whole(warp& w, const instruction& i) {
    alignas(64) slot<T> results[lanes];
    const auto* from = w.slots<slot<T>>(i.s[0]);
    for (int l = 0; l < lanes; ++l) {
        const auto x = from_slot<T>(from[l]);
        results[l] = to_slot<T>(settled(rounded(i.flushes ? flushed<true>(x) : x, i.mode)));
    }
    put(w, i.d[0], results, w.mask);
}

template <class To, class From>
To converted(From x) {
    return static_cast<To>(x);
}
// To a signed type that is shorter than its register, of which bytes has the size: the sign fills the rest.
template <class To, class From>
void sign_extended(warp& w, const instruction& i) {
    alignas(64) std::uint32_t results[lanes];
    const auto* from = w.slots<slot<From>>(i.s[0]);
    const std::uint32_t ones = i.bytes == 2 ? 0xffffU : everyone;
    for (int l = 0; l < lanes; ++l) {
        const auto narrow = static_cast<To>(from_slot<From>(from[l]));
        results[l] = static_cast<std::uint32_t>(static_cast<std::int32_t>(narrow)) & ones;
    }
    put(w, i.d[0], results, w.mask);
}

template <class To>
handler from_integer(const std::string& from) {
    const auto find = [](auto f) -> handler {
        using type = decltype(f);
        if constexpr (std::is_same_v<To, std::int8_t> || std::is_same_v<To, std::int16_t>) {
            return sign_extended<To, type>;
        } else {
            return each_lane<converted<To, type>>;
        }
    };
    return from == "u8" ? find(std::uint8_t{}) : from == "s8" ? find(std::int8_t{}) : by_integer(from, find);
}

template <class To>
handler to_integer_from(const std::string& from) {
    if constexpr (sizeof(To) >= 2) {
        if (from == "f32" || from == "f64") {
            return from == "f32" ? real_to_integer<To, float> : real_to_integer<To, double>;
        }
    }
    return from_integer<To>(from);
}

template <bool Flushes>
double widened(float x) {
    return static_cast<double>(flushed<Flushes>(x));
}
template <bool Flushes>
float narrowed(double x) {
    return flushed<Flushes>(settled(static_cast<float>(x)));
}

std::uint32_t pair(std::uint16_t high, std::uint16_t low) {
    return static_cast<std::uint32_t>(high) << 16 | low;
}
std::uint32_t pair_of_halves(float high, float low) {
    return pair(float_to_half(high), float_to_half(low));
}
std::uint32_t pair_of_bfloats(float high, float low) {
    return pair(float_to_bfloat(high), float_to_bfloat(low));
}

handler to_real(const wanted& what, const std::string& to, const std::string& from, bool is_whole) {
    const bool nearest = what.s.has("rn");
    if (to == "f32") {
        if (from == "f64" && nearest) {
            return what.flushes() ? each_lane<narrowed<true>> : each_lane<narrowed<false>>;
        }
        if (from == "f32" && is_whole) {
            return real_to_whole<float>;
        }
        if (from == "f16" || from == "bf16") {
            return from == "f16" ? each_lane<half_to_float> : each_lane<bfloat_to_float>;
        }
        return nearest ? from_integer<float>(from) : nullptr;
    }
    if (to == "f64") {
        if (from == "f32") {
            return what.flushes() ? each_lane<widened<true>> : each_lane<widened<false>>;
        }
        if (from == "f64" && is_whole) {
            return real_to_whole<double>;
        }
        return nearest ? from_integer<double>(from) : nullptr;
    }
    if (from != "f32" || !nearest || what.s.has("relu") || what.s.has("satfinite")) {
        return nullptr;
    }
    return to == "f16"      ? each_lane<float_to_half>
           : to == "bf16"   ? each_lane<float_to_bfloat>
           : to == "f16x2"  ? each_lane<pair_of_halves>
           : to == "bf16x2" ? each_lane<pair_of_bfloats>
                            : nullptr;
}

} // namespace

handler find_conversion(const wanted& what, instruction& to) {
    if (what.opcode() != "cvt" || what.types.size() != 2 || what.s.has("sat")) {
        return nullptr;
    }
    const std::string& target = what.types[0];
    const std::string& from = what.types[1];
    to.mode = what.s.has("rzi") ? to_zero : what.s.has("rmi") ? down : what.s.has("rpi") ? up : to_nearest;
    to.flushes = what.flushes();
    const bool is_whole = what.s.has("rni") || what.s.has("rzi") || what.s.has("rmi") || what.s.has("rpi");
    if (target == "u8") {
        return to_integer_from<std::uint8_t>(from);
    }
    if (target == "s8") {
        return to_integer_from<std::int8_t>(from);
    }
    const handler found = by_integer(target, [&](auto t) { return to_integer_from<decltype(t)>(from); });
    return found != nullptr ? found : to_real(what, target, from, is_whole);
}

} // namespace ptx
