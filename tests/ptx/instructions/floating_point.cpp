// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "arithmetic.hpp"
#include "handlers.hpp"

// add, sub, mul, fma, div, rcp, sqrt, neg, abs, min, max and copysign, rounded to nearest.
namespace ptx {
namespace {

template <class T, bool Flushes>
T difference(T a, T b) {
    return flushed<Flushes>(settled(flushed<Flushes>(a) - flushed<Flushes>(b)));
}
template <class T, bool Flushes>
T product(T a, T b) {
    return flushed<Flushes>(settled(flushed<Flushes>(a) * flushed<Flushes>(b)));
}
template <class T, bool Flushes>
T fused(T a, T b, T c) {
    if constexpr (sizeof(T) == 4) {
        return flushed<Flushes>(settled(__builtin_fmaf(flushed<Flushes>(a), flushed<Flushes>(b), flushed<Flushes>(c))));
    } else {
        return __builtin_fma(a, b, c);
    }
}
template <class T, bool Flushes>
T quotient(T a, T b) {
    return flushed<Flushes>(settled(flushed<Flushes>(a) / flushed<Flushes>(b)));
}
template <class T, bool Flushes>
T reciprocal(T a) {
    return quotient<T, Flushes>(1, a);
}
template <class T, bool Flushes>
T root(T a) {
    return flushed<Flushes>(settled(std::sqrt(flushed<Flushes>(a))));
}
template <class T, bool Flushes>
T negative(T a) {
    return flushed<Flushes>(-a);
}
template <class T, bool Flushes>
T magnitude(T a) {
    return flushed<Flushes>(std::fabs(a));
}
template <class T, bool Flushes>
T with_sign(T sign, T a) {
    return std::copysign(a, sign);
}

} // namespace

handler find_floating_point(const wanted& what) {
    const std::string& o = what.opcode();
    if (what.s.has("approx") || what.s.has("full") || what.s.has("NaN") || what.s.has("xorsign")) {
        return nullptr;
    }
    return by_real(what.type(), what.flushes(), [&](auto t, auto f) -> handler {
        using type = decltype(t);
        constexpr bool flushes = decltype(f)::value;
        return o == "add"                 ? each_lane<sum<type, flushes>>
               : o == "sub"               ? each_lane<difference<type, flushes>>
               : o == "mul"               ? each_lane<product<type, flushes>>
               : o == "fma" || o == "mad" ? each_lane<fused<type, flushes>>
               : o == "div"               ? each_lane<quotient<type, flushes>>
               : o == "rcp"               ? each_lane<reciprocal<type, flushes>>
               : o == "sqrt"              ? each_lane<root<type, flushes>>
               : o == "neg"               ? each_lane<negative<type, flushes>>
               : o == "abs"               ? each_lane<magnitude<type, flushes>>
               : o == "min"               ? each_lane<smallest<type, flushes>>
               : o == "max"               ? each_lane<largest<type, flushes>>
               : o == "copysign"          ? each_lane<with_sign<type, flushes>>
                                          : nullptr;
    });
}

} // namespace ptx
