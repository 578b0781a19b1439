// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "handlers.hpp"
#include "lane_function.hpp"

// setp and set.
namespace ptx {
namespace {

// The last six are true where a number is NaN; has_numbers: neither is.
enum class relation { eq, ne, lt, le, gt, ge, has_numbers, has_nan, equ, neu, ltu, leu, gtu, geu };

template <relation R, class T>
bool holds(T a, T b) {
    const bool unordered = a != a || b != b;
    switch (R) {
    case relation::eq:
        return a == b;
    case relation::ne:
        return !unordered && a != b;
    case relation::lt:
        return a < b;
    case relation::le:
        return a <= b;
    case relation::gt:
        return a > b;
    case relation::ge:
        return a >= b;
    case relation::has_numbers:
        return !unordered;
    case relation::has_nan:
        return unordered;
    case relation::equ:
        return unordered || a == b;
    case relation::neu:
        return unordered || a != b;
    case relation::ltu:
        return unordered || a < b;
    case relation::leu:
        return unordered || a <= b;
    case relation::gtu:
        return unordered || a > b;
    case relation::geu:
        return unordered || a >= b;
    }
}

template <class T, relation R, bool Flushes>
std::uint32_t lanes_where(const warp& w, const instruction& i) {
    alignas(64) std::uint32_t words[lanes];
    const auto* a = w.slots<slot<T>>(i.s[0]);
    const auto* b = w.slots<slot<T>>(i.s[1]);
    for (int l = 0; l < lanes; ++l) {
        auto x = from_slot<T>(a[l]);
        auto y = from_slot<T>(b[l]);
        if constexpr (Flushes) {
            x = flushed<true>(x);
            y = flushed<true>(y);
        }
        words[l] = holds<R>(x, y) ? everyone : 0;
    }
    return bits_of(words);
}

// mode: 0, or 1 and, 2 or, 3 xor with the predicate s[2], which may be negated. d[1] gets the same of the opposite.
template <class T, relation R, bool Flushes>
void compare(warp& w, const instruction& i) {
    std::uint32_t yes = lanes_where<T, R, Flushes>(w, i);
    std::uint32_t no = ~yes;
    if (i.mode != 0) {
        const std::uint32_t with = w.predicates[i.s[2]] ^ (i.negated ? everyone : 0);
        const auto joined = [&](std::uint32_t bits) {
            return i.mode == 1 ? bits & with : i.mode == 2 ? bits | with : bits ^ with;
        };
        yes = joined(yes);
        no = joined(no);
    }
    if (i.d[0] != no_result) {
        put_predicate(w, i.d[0], yes);
    }
    if (i.d[1] != no_result) {
        put_predicate(w, i.d[1], no);
    }
}
// To a word: all ones, or 1.0 in mode 1.
template <class T, relation R, bool Flushes>
void compare_to_word(warp& w, const instruction& i) {
    const std::uint32_t yes = lanes_where<T, R, Flushes>(w, i);
    const std::uint32_t word = i.mode == 0 ? everyone : std::bit_cast<std::uint32_t>(1.0F);
    alignas(64) std::uint32_t words[lanes];
    for (int l = 0; l < lanes; ++l) {
        words[l] = (yes >> l & 1) != 0 ? word : 0;
    }
    put(w, i.d[0], words, w.mask);
}

template <class T, relation R, bool Flushes>
handler to(bool word) {
    return word ? compare_to_word<T, R, Flushes> : compare<T, R, Flushes>;
}
template <class T, bool Flushes>
handler find_relation(const std::string& name, bool word) {
    const auto is = [&](const char* a, const char* b) { return name == a || name == b; };
    if (is("eq", "eq")) {
        return to<T, relation::eq, Flushes>(word);
    }
    if (is("ne", "ne")) {
        return to<T, relation::ne, Flushes>(word);
    }
    if (is("lt", "lo")) {
        return to<T, relation::lt, Flushes>(word);
    }
    if (is("le", "ls")) {
        return to<T, relation::le, Flushes>(word);
    }
    if (is("gt", "hi")) {
        return to<T, relation::gt, Flushes>(word);
    }
    if (is("ge", "hs")) {
        return to<T, relation::ge, Flushes>(word);
    }
    if constexpr (std::is_floating_point_v<T>) {
        return name == "num"   ? to<T, relation::has_numbers, Flushes>(word)
               : name == "nan" ? to<T, relation::has_nan, Flushes>(word)
               : name == "equ" ? to<T, relation::equ, Flushes>(word)
               : name == "neu" ? to<T, relation::neu, Flushes>(word)
               : name == "ltu" ? to<T, relation::ltu, Flushes>(word)
               : name == "leu" ? to<T, relation::leu, Flushes>(word)
               : name == "gtu" ? to<T, relation::gtu, Flushes>(word)
               : name == "geu" ? to<T, relation::geu, Flushes>(word)
                               : nullptr;
    }
    return nullptr;
}

} // namespace

// mode of set: 1 if the result is a float.
handler find_comparison(const wanted& what, instruction& to) {
    const bool word = what.opcode() == "set";
    if (what.opcode() != "setp" && !word) {
        return nullptr;
    }
    if (word) {
        if (what.types.size() != 2 || bits_of_type(what.types[0]) != 32) {
            return nullptr;
        }
        to.mode = what.types[0] == "f32" ? 1 : 0;
    }
    const std::string& name = what.s.modifiers[0];
    const handler found =
        by_integer(what.type(), [&](auto t) { return find_relation<decltype(t), false>(name, word); });
    return found != nullptr ? found : by_real(what.type(), what.flushes(), [&](auto t, auto flushes) {
        return find_relation<decltype(t), decltype(flushes)::value>(name, word);
    });
}

} // namespace ptx
