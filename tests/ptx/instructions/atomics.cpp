// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <array>
#include <string_view>

#include "addresses.hpp"
#include "arithmetic.hpp"
#include "handlers.hpp"

// atom and red, a lane after the other.
namespace ptx {
namespace {

enum action : std::uint8_t { do_add, do_min, do_max, do_and, do_or, do_xor, do_exch, do_cas };
constexpr std::array<std::string_view, 8> names{"add", "min", "max", "and", "or", "xor", "exch", "cas"};

template <class T>
T after(std::uint8_t what, T now, T operand, T other) {
    const auto bits = to_slot<T>(now);
    const auto with = to_slot<T>(operand);
    switch (what) {
    case do_add:
        return sum<T>(now, operand);
    case do_min:
        return smallest<T>(now, operand);
    case do_max:
        return largest<T>(now, operand);
    case do_and:
        return from_slot<T>(bits & with);
    case do_or:
        return from_slot<T>(bits | with);
    case do_xor:
        return from_slot<T>(bits ^ with);
    case do_cas:
        return bits == with ? other : now;
    default:
        return operand;
    }
}

template <class T>
void update(warp& w, const instruction& i) {
    std::uint64_t addresses[lanes];
    char* to[lanes];
    addresses_of(w, i, i.s[0], addresses);
    pointers_of(w, i, addresses, sizeof(T), purpose::exchange, to);
    alignas(64) slot<T> before[lanes];
    for_lanes(w.mask, [&](int l) {
        auto* const at = reinterpret_cast<slot<T>*>(to[l]);
        const auto operand = from_slot<T>(w.slots<slot<T>>(i.s[1])[l]);
        const auto other = from_slot<T>(w.slots<slot<T>>(i.s[2])[l]);
        slot<T> old = __atomic_load_n(at, __ATOMIC_SEQ_CST);
        while (!__atomic_compare_exchange_n(at, &old, to_slot<T>(after<T>(i.mode, from_slot<T>(old), operand, other)),
                                            false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
        }
        before[l] = old;
    });
    if (i.d[0] != no_result) {
        put(w, i.d[0], before, w.mask);
    }
}

// red.global.add of count floats that lie together, each added by itself.
void add_floats(warp& w, const instruction& i) {
    std::uint64_t addresses[lanes];
    char* to[lanes];
    addresses_of(w, i, i.s[0], addresses);
    pointers_of(w, i, addresses, i.count * sizeof(float), purpose::exchange, to);
    for (int e = 0; e < i.count; ++e) {
        for_lanes(w.mask, [&](int l) {
            auto* const at = reinterpret_cast<slot<float>*>(to[l]) + e;
            const auto operand = from_slot<float>(w.slots<slot<float>>(i.s[1 + e])[l]);
            slot<float> old = __atomic_load_n(at, __ATOMIC_SEQ_CST);
            while (!__atomic_compare_exchange_n(at, &old, to_slot<float>(sum<float>(from_slot<float>(old), operand)),
                                                false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
            }
        });
    }
}

} // namespace

handler find_atomic(const wanted& what, instruction& to) {
    if ((what.opcode() != "atom" && what.opcode() != "red") || what.s.has("async") || what.bits() < 32) {
        return nullptr;
    }
    if (what.s.has("v2") || what.s.has("v4")) {
        const bool known = what.opcode() == "red" && what.s.has("add") && what.type() == "f32";
        return known ? add_floats : nullptr;
    }
    for (std::size_t n = 0; n < names.size(); ++n) {
        if (what.s.has(names[n])) {
            to.mode = static_cast<std::uint8_t>(n);
            const handler found = by_real(what.type(), false, [](auto t, auto) { return update<decltype(t)>; });
            return found != nullptr ? found : by_integer(what.type(), [](auto t) -> handler {
                if constexpr (sizeof(t) >= 4) {
                    return update<decltype(t)>;
                }
                return nullptr;
            });
        }
    }
    return nullptr;
}

} // namespace ptx
