// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "handlers.hpp"
#include "lane_function.hpp"

// mov, also of vectors, selp, slct and cvta.
namespace ptx {
namespace {

template <class Slot>
void move(warp& w, const instruction& i) {
    put(w, i.d[0], w.slots<Slot>(i.s[0]), w.mask);
}
void move_predicate(warp& w, const instruction& i) {
    put_predicate(w, i.d[0], w.predicates[i.s[0]] ^ (i.negated ? everyone : 0));
}
template <class Slot>
void select(warp& w, const instruction& i) {
    const std::uint32_t first = w.predicates[i.s[2]] ^ (i.negated ? everyone : 0);
    alignas(64) Slot results[lanes];
    const auto* a = w.slots<Slot>(i.s[0]);
    const auto* b = w.slots<Slot>(i.s[1]);
    for (int l = 0; l < lanes; ++l) {
        results[l] = (first >> l & 1) != 0 ? a[l] : b[l];
    }
    put(w, i.d[0], results, w.mask);
}
template <class Slot, class Sign>
void select_by_sign(warp& w, const instruction& i) {
    alignas(64) Slot results[lanes];
    const auto* a = w.slots<Slot>(i.s[0]);
    const auto* b = w.slots<Slot>(i.s[1]);
    const auto* c = w.words(i.s[2]);
    for (int l = 0; l < lanes; ++l) {
        results[l] = from_slot<Sign>(c[l]) >= 0 ? a[l] : b[l];
    }
    put(w, i.d[0], results, w.mask);
}

// A whole of count parts of `bytes` each; wide[0]: the whole has 64 bits.
void pack(warp& w, const instruction& i) {
    alignas(64) std::uint64_t whole[lanes] = {};
    const std::uint64_t ones = (std::uint64_t{1} << (8 * i.bytes)) - 1;
    for (int part = 0; part < i.count; ++part) {
        for (int l = 0; l < lanes; ++l) {
            whole[l] |= (w.words(i.s[part])[l] & ones) << (8 * i.bytes * part);
        }
    }
    if (i.wide[0] != 0) {
        put(w, i.d[0], whole, w.mask);
        return;
    }
    alignas(64) std::uint32_t words[lanes];
    std::copy_n(whole, lanes, words);
    put(w, i.d[0], words, w.mask);
}
void unpack(warp& w, const instruction& i) {
    const std::uint64_t ones = (std::uint64_t{1} << (8 * i.bytes)) - 1;
    alignas(64) std::uint32_t words[4][lanes];
    for (int part = 0; part < i.count; ++part) {
        for (int l = 0; l < lanes; ++l) {
            const std::uint64_t whole = i.wide[0] != 0 ? w.longs(i.s[0])[l] : w.words(i.s[0])[l];
            words[part][l] = static_cast<std::uint32_t>(whole >> (8 * i.bytes * part) & ones);
        }
    }
    for (int part = 0; part < i.count; ++part) {
        if (i.d[part] != no_result) {
            put(w, i.d[part], words[part], w.mask);
        }
    }
}

// cvta; mode 1: from generic addresses. wide[0]: the operand has 64 bits.
void convert_address(warp& w, const instruction& i) {
    alignas(64) std::uint64_t results[lanes];
    const std::uint64_t base = i.space == memory_space::shared  ? shared_window
                               : i.space == memory_space::local ? local_window
                                                                : 0;
    for (int l = 0; l < lanes; ++l) {
        const std::uint64_t value = i.wide[0] != 0 ? w.longs(i.s[0])[l] : w.words(i.s[0])[l];
        results[l] = i.mode == 0 ? value + base : value - base;
    }
    put(w, i.d[0], results, w.mask);
}

} // namespace

handler find_move(const wanted& what) {
    const std::string& o = what.opcode();
    const bool wide = what.bits() == 64;
    if (o == "mov") {
        return what.type() == "pred" ? move_predicate : wide ? move<std::uint64_t> : move<std::uint32_t>;
    }
    if (o == "selp") {
        return wide ? select<std::uint64_t> : select<std::uint32_t>;
    }
    if (o == "slct" && what.types.size() == 2) {
        const bool by_real = what.types[1] == "f32";
        return bits_of_type(what.types[0]) == 64
                   ? by_real ? select_by_sign<std::uint64_t, float> : select_by_sign<std::uint64_t, std::int32_t>
               : by_real ? select_by_sign<std::uint32_t, float>
                         : select_by_sign<std::uint32_t, std::int32_t>;
    }
    return o == "mov.pack" ? pack : o == "mov.unpack" ? unpack : o == "cvta" ? convert_address : nullptr;
}

} // namespace ptx
