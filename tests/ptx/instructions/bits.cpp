// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "handlers.hpp"
#include "lane_function.hpp"

// Logic, shifts, counts and fields of bits; logic of predicates.
namespace ptx {
namespace {

template <class T>
using whole = std::make_unsigned_t<T>;
template <class T>
inline constexpr std::uint32_t bits = 8 * sizeof(T);

template <class T>
T both(T a, T b) {
    return a & b;
}
template <class T>
T either(T a, T b) {
    return a | b;
}
template <class T>
T one_of(T a, T b) {
    return a ^ b;
}
template <class T>
T inverted(T a) {
    return static_cast<T>(~a);
}
template <class T>
T is_zero(T a) {
    return a == 0 ? 1 : 0;
}

// Shifts by more than there are bits leave none, or the sign.
template <class T>
T shifted_left(T a, std::uint32_t by) {
    return by >= bits<T> ? T{0} : static_cast<T>(a << by);
}
template <class T>
T shifted_right(T a, std::uint32_t by) {
    if constexpr (std::is_signed_v<T>) {
        return static_cast<T>(a >> std::min(by, bits<T> - 1));
    } else {
        return by >= bits<T> ? T{0} : static_cast<T>(a >> by);
    }
}
// Of two words in a row.
std::uint64_t joined(std::uint32_t low, std::uint32_t high) {
    return std::uint64_t{high} << 32 | low;
}
template <bool Wraps>
std::uint32_t funnel_left(std::uint32_t low, std::uint32_t high, std::uint32_t by) {
    return !Wraps && by >= 32 ? low : static_cast<std::uint32_t>((joined(low, high) << (by & 31)) >> 32);
}
template <bool Wraps>
std::uint32_t funnel_right(std::uint32_t low, std::uint32_t high, std::uint32_t by) {
    return !Wraps && by >= 32 ? high : static_cast<std::uint32_t>(joined(low, high) >> (by & 31));
}

template <class T>
std::uint32_t ones(T a) {
    return static_cast<std::uint32_t>(std::popcount(a));
}
template <class T>
std::uint32_t leading_zeros(T a) {
    return static_cast<std::uint32_t>(std::countl_zero(a));
}
template <class T>
T reversed(T a) {
    T result = 0;
    for (std::uint32_t i = 0; i < bits<T>; ++i) {
        result |= static_cast<T>((a >> i & 1) << (bits<T> - 1 - i));
    }
    return result;
}
// The place of the highest bit that differs from the sign, or how far it is from the top; all ones if there is none.
template <class T, bool FromTop>
std::uint32_t highest_bit(T a) {
    const auto differing = static_cast<whole<T>>(a < 0 ? ~a : a);
    const auto above = static_cast<std::uint32_t>(std::countl_zero(differing));
    return differing == 0 ? everyone : FromTop ? above : bits<T> - 1 - above;
}
template <class T>
T extracted(T a, std::uint32_t position, std::uint32_t length) {
    position &= 255;
    length &= 255;
    const auto from = static_cast<whole<T>>(a);
    const std::uint32_t last = std::min(position + length - 1, bits<T> - 1);
    const bool sign = std::is_signed_v<T> && length > 0 && (from >> last & 1) != 0;
    whole<T> result = 0;
    for (std::uint32_t i = 0; i < bits<T>; ++i) {
        const bool bit = i < length && position + i < bits<T> ? (from >> (position + i) & 1) != 0 : sign;
        result |= static_cast<whole<T>>(whole<T>{bit} << i);
    }
    return static_cast<T>(result);
}
template <class T>
T inserted(T a, T into, std::uint32_t position, std::uint32_t length) {
    position &= 255;
    length &= 255;
    if (position >= bits<T>) {
        return into;
    }
    const T field = length >= bits<T> ? static_cast<T>(~T{0}) : static_cast<T>((T{1} << length) - 1);
    const T mask = static_cast<T>(field << position);
    return static_cast<T>((into & ~mask) | (static_cast<T>(a << position) & mask));
}
// Each byte is the one that 4 bits of the selector name, or with the fourth its sign eight times.
std::uint32_t permuted(std::uint32_t a, std::uint32_t b, std::uint32_t selector) {
    std::uint32_t result = 0;
    for (std::uint32_t i = 0; i < 4; ++i) {
        const std::uint32_t which = selector >> (4 * i) & 15;
        const std::uint32_t byte = static_cast<std::uint32_t>(joined(a, b) >> (8 * (which & 7))) & 255;
        const std::uint32_t sign = (byte & 128) != 0 ? 255 : 0;
        result |= ((which & 8) != 0 ? sign : byte) << (8 * i);
    }
    return result;
}
// Bit 4 a + 2 b + c of mode is the result for bits a, b and c.
void look_up(warp& w, const instruction& i) {
    alignas(64) std::uint32_t results[lanes];
    const std::uint32_t* a = w.words(i.s[0]);
    const std::uint32_t* b = w.words(i.s[1]);
    const std::uint32_t* c = w.words(i.s[2]);
    for (int l = 0; l < lanes; ++l) {
        std::uint32_t result = 0;
        for (int k = 0; k < 8; ++k) {
            const std::uint32_t chosen = (i.mode >> k & 1) != 0 ? everyone : 0;
            result |=
                chosen & ((k & 4) != 0 ? a[l] : ~a[l]) & ((k & 2) != 0 ? b[l] : ~b[l]) & ((k & 1) != 0 ? c[l] : ~c[l]);
        }
        results[l] = result;
    }
    put(w, i.d[0], results, w.mask);
}

template <auto F>
void each_predicate(warp& w, const instruction& i) {
    put_predicate(w, i.d[0], F(w.predicates[i.s[0]], w.predicates[i.s[1]]));
}
void invert_predicate(warp& w, const instruction& i) {
    put_predicate(w, i.d[0], ~w.predicates[i.s[0]]);
}

handler find_predicate_logic(const std::string& o) {
    return o == "and"   ? each_predicate<both<std::uint32_t>>
           : o == "or"  ? each_predicate<either<std::uint32_t>>
           : o == "xor" ? each_predicate<one_of<std::uint32_t>>
           : o == "not" ? invert_predicate
                        : nullptr;
}

handler find_signed(const wanted& what) {
    const std::string& o = what.opcode();
    return by_integer(what.type(), [&](auto t) -> handler {
        using type = decltype(t);
        if (o == "shr") {
            return each_lane<shifted_right<type>>;
        }
        if constexpr (sizeof(type) >= 4) {
            if (o == "bfind") {
                return what.s.has("shiftamt") ? each_lane<highest_bit<type, true>>
                                              : each_lane<highest_bit<type, false>>;
            }
            if (o == "bfe") {
                return each_lane<extracted<type>>;
            }
        }
        return nullptr;
    });
}

} // namespace

handler find_bits(const wanted& what, instruction& to) {
    const std::string& o = what.opcode();
    if (what.type() == "pred") {
        return find_predicate_logic(o);
    }
    if (o == "shf") {
        const bool wraps = what.s.has("wrap");
        return what.s.has("l") ? wraps ? each_lane<funnel_left<true>> : each_lane<funnel_left<false>>
               : wraps ? each_lane<funnel_right<true>>
                               : each_lane<funnel_right<false>>;
    }
    if (o == "prmt" && what.s.modifiers.size() == 1) {
        return each_lane<permuted>;
    }
    if (o == "lop3" && what.s.modifiers.size() == 1) {
        to.mode = static_cast<std::uint8_t>(what.s.operands[4].value);
        return look_up;
    }
    if (o == "shr" || o == "bfind" || o == "bfe") {
        return find_signed(what);
    }
    return by_bits(what.bits(), [&](auto t) -> handler {
        using type = decltype(t);
        if constexpr (sizeof(type) >= 4) {
            if (o == "popc" || o == "clz") {
                return o == "popc" ? each_lane<ones<type>> : each_lane<leading_zeros<type>>;
            }
            if (o == "brev" || o == "bfi") {
                return o == "brev" ? handler(each_lane<reversed<type>>) : each_lane<inserted<type>>;
            }
        }
        return o == "and"    ? each_lane<both<type>>
               : o == "or"   ? each_lane<either<type>>
               : o == "xor"  ? each_lane<one_of<type>>
               : o == "not"  ? each_lane<inverted<type>>
               : o == "cnot" ? each_lane<is_zero<type>>
               : o == "shl"  ? each_lane<shifted_left<type>>
                             : nullptr;
    });
}

} // namespace ptx
