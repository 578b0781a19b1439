// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <algorithm>
#include <array>
#include <string>

#include "arithmetic.hpp"
#include "handlers.hpp"

// shfl, vote, match, redux, activemask and bar.warp. That all lanes that s[3] names are here, block_runner has seen to.
namespace ptx {
namespace {

void put_everywhere(warp& w, register_place to, std::uint32_t word) {
    alignas(64) std::uint32_t words[lanes];
    std::fill_n(words, lanes, word);
    put(w, to, words, w.mask);
}

enum direction : std::uint8_t { up, down, butterfly, indexed };

// Which lane this one reads, by PTX's rule for a lane `by`, segments and their last lane; itself, if there is none.
int source_lane(std::uint8_t mode, int lane, std::uint32_t b, std::uint32_t c, bool& found) {
    const int by = static_cast<int>(b & 31);
    const int last = static_cast<int>(c & 31);
    const int segment = static_cast<int>(c >> 8 & 31);
    const int least = lane & segment;
    const int most = least | (last & ~segment);
    const int from = mode == up          ? lane - by
                     : mode == down      ? lane + by
                     : mode == butterfly ? lane ^ by
                                         : least | (by & ~segment);
    found = mode == up ? from >= most : from <= most;
    return found ? from : lane;
}

// s: values, b, c, members.
void shuffle(warp& w, const instruction& i) {
    alignas(64) std::uint32_t results[lanes];
    std::uint32_t in_range = 0;
    for_lanes(w.mask, [&](int l) {
        const std::uint32_t members = w.words(i.s[3])[l];
        if ((members >> l & 1) == 0) {
            w.fail(fault_kind::illegal, i, l, "a lane that is not among the members " + hexadecimal(members));
        }
        bool found = false;
        const int from = source_lane(i.mode, l, w.words(i.s[1])[l], w.words(i.s[2])[l], found);
        if ((w.mask >> from & 1) == 0) {
            w.fail(fault_kind::illegal, i, l, "reads lane " + std::to_string(from) + ", which is not here");
        }
        results[l] = w.words(i.s[0])[from];
        in_range |= static_cast<std::uint32_t>(found) << l;
    });
    if (i.d[0] != no_result) {
        put(w, i.d[0], results, w.mask);
    }
    if (i.d[1] != no_result) {
        put_predicate(w, i.d[1], in_range);
    }
}

enum poll : std::uint8_t { ballot, any, all, uniform };

void vote(warp& w, const instruction& i) {
    const std::uint32_t said = (w.predicates[i.s[0]] ^ (i.negated ? everyone : 0)) & w.mask;
    if (i.mode == ballot) {
        put_everywhere(w, i.d[0], said);
        return;
    }
    const bool yes = i.mode == any ? said != 0 : i.mode == all ? said == w.mask : said == 0 || said == w.mask;
    put_predicate(w, i.d[0], yes ? everyone : 0);
}

void list_active(warp& w, const instruction& i) {
    put_everywhere(w, i.d[0], w.mask);
}

template <class Slot>
void match_any(warp& w, const instruction& i) {
    alignas(64) std::uint32_t words[lanes] = {};
    const auto* a = w.slots<Slot>(i.s[0]);
    for_lanes(w.mask, [&](int l) {
        for_lanes(w.mask, [&](int k) { words[l] |= static_cast<std::uint32_t>(a[k] == a[l]) << k; });
    });
    put(w, i.d[0], words, w.mask);
}

enum reduction : std::uint8_t { by_add, by_min, by_max, by_and, by_or, by_xor };
constexpr std::array<std::string_view, 6> reductions{"add", "min", "max", "and", "or", "xor"};

template <class T>
void reduce(warp& w, const instruction& i) {
    const std::uint32_t* const a = w.words(i.s[0]);
    const int first = std::countr_zero(w.mask);
    auto so_far = from_slot<T>(a[first]);
    for_lanes(w.mask & ~(1U << first), [&](int l) {
        const auto x = from_slot<T>(a[l]);
        so_far = i.mode == by_add   ? sum<T>(so_far, x)
                 : i.mode == by_min ? std::min(so_far, x)
                 : i.mode == by_max ? std::max(so_far, x)
                 : i.mode == by_and ? so_far & x
                 : i.mode == by_or  ? so_far | x
                                    : so_far ^ x;
    });
    put_everywhere(w, i.d[0], to_slot<T>(so_far));
}

// Orders memory for the lanes that are here: races are told apart where those are the whole warp.
void warp_barrier(warp& w, const instruction& /*i*/) {
    if (w.block->watch.is_on() && (w.mask | w.exited) == everyone) {
        w.block->watch.warp_barrier(w.index);
    }
}

} // namespace

handler find_within_warp(const wanted& what, instruction& to) {
    const std::string& o = what.opcode();
    const statement& s = what.s;
    if (o == "shfl") {
        to.mode = s.has("up") ? up : s.has("down") ? down : s.has("bfly") ? butterfly : indexed;
        return shuffle;
    }
    if (o == "vote") {
        to.mode = s.has("ballot") ? ballot : s.has("any") ? any : s.has("all") ? all : uniform;
        return vote;
    }
    if (o == "match") {
        return !s.has("any") ? nullptr : what.bits() == 64 ? match_any<std::uint64_t> : match_any<std::uint32_t>;
    }
    if (o == "redux") {
        const auto named = std::find_if(reductions.begin(), reductions.end(), [&](auto name) { return s.has(name); });
        if (named == reductions.end() || what.type() == "f32") {
            return nullptr;
        }
        to.mode = static_cast<std::uint8_t>(named - reductions.begin());
        return what.type() == "s32" ? reduce<std::int32_t> : reduce<std::uint32_t>;
    }
    return o == "activemask" ? list_active : o == "bar.warp" ? warp_barrier : nullptr;
}

} // namespace ptx
