// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "../warp.hpp"

// Most instructions are a function of one lane that is applied to all 32: the compiler makes vector code of the loops.
namespace ptx {

// A lane's value where registers keep it: see register_place.
template <class T>
using slot = std::conditional_t<sizeof(T) == 8, std::uint64_t, std::uint32_t>;

template <class T>
T from_slot(slot<T> bits) {
    if constexpr (sizeof(T) == sizeof(bits)) {
        return std::bit_cast<T>(bits);
    } else {
        return static_cast<T>(bits);
    }
}
template <class T>
slot<T> to_slot(T value) {
    if constexpr (sizeof(T) == sizeof(slot<T>)) {
        return std::bit_cast<slot<T>>(value);
    } else {
        return static_cast<std::make_unsigned_t<T>>(value);
    }
}

template <auto F, class Result, class... Arguments, std::size_t... I>
void apply(warp& w, const instruction& i, Result (*)(Arguments...), std::index_sequence<I...>) {
    alignas(64) slot<Result> results[lanes];
    const auto sources = std::make_tuple(w.slots<slot<Arguments>>(i.s[I])...);
    for (int l = 0; l < lanes; ++l) {
        results[l] = to_slot<Result>(F(from_slot<Arguments>(std::get<I>(sources)[l])...));
    }
    put(w, i.d[0], results, w.mask);
}
template <auto F, class Result, class... Arguments>
void apply(warp& w, const instruction& i, Result (*f)(Arguments...)) {
    apply<F>(w, i, f, std::index_sequence_for<Arguments...>{});
}
// The handler that gives F of the operands in s.
template <auto F>
void each_lane(warp& w, const instruction& i) {
    apply<F>(w, i, F);
}

// f(T{}) for an integer type of 16, 32 or 64 bits; null for others.
template <class F>
handler by_integer(std::string_view type, const F& f) {
    if (type == "u16" || type == "b16") {
        return f(std::uint16_t{});
    }
    if (type == "s16") {
        return f(std::int16_t{});
    }
    if (type == "u32" || type == "b32") {
        return f(std::uint32_t{});
    }
    if (type == "s32") {
        return f(std::int32_t{});
    }
    if (type == "u64" || type == "b64") {
        return f(std::uint64_t{});
    }
    if (type == "s64") {
        return f(std::int64_t{});
    }
    return nullptr;
}
// f(T{}) for an unsigned type of so many bits.
template <class F>
handler by_bits(int bits, const F& f) {
    return bits == 16   ? f(std::uint16_t{})
           : bits == 32 ? f(std::uint32_t{})
           : bits == 64 ? f(std::uint64_t{})
                        : nullptr;
}
// f(float{} or double{}, whether it flushes).
template <class F>
handler by_real(std::string_view type, bool flushes, const F& f) {
    if (type == "f32") {
        return flushes ? f(float{}, std::true_type{}) : f(float{}, std::false_type{});
    }
    return type == "f64" ? f(double{}, std::false_type{}) : nullptr;
}

// What a GPU gives for NaN in float.
template <class T>
T settled(T x) {
    if constexpr (std::is_same_v<T, float>) {
        return x != x ? std::bit_cast<float>(0x7fffffffU) : x;
    } else {
        return x;
    }
}

// Subnormal numbers as zeros of their sign, if wanted.
template <bool Flushes>
float flushed(float x) {
    const auto bits = std::bit_cast<std::uint32_t>(x);
    return Flushes && (bits & 0x7f800000U) == 0 ? std::bit_cast<float>(bits & 0x80000000U) : x;
}
template <bool Flushes>
double flushed(double x) {
    return x;
}

} // namespace ptx
