// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "device_memory.hpp"
#include "kernel.hpp"
#include "launch.hpp"
#include "races.hpp"

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

// A block and its warps while a kernel runs, and how instructions see them.
namespace ptx {

struct running_block {
    const kernel_launch* launch = nullptr;
    const lowered_kernel* kernel = nullptr;
    const allocation_table* table = nullptr;
    unsigned x = 0, y = 0, z = 0;
    char* shared = nullptr;
    std::uint64_t shared_bytes = 0;
    std::mt19937 random;
    shared_watch watch;
    counters counted;
    std::vector<std::uint32_t> last_allocation; // that each statement found
};

// Lanes that are at one instruction.
struct fragment {
    std::int32_t pc;
    std::uint32_t mask;
};

struct async_copy {
    bool landed; // already
    int lane;
    std::uint32_t group;
    std::uint32_t to; // in shared memory
    const char* from; // null: zeros
    std::uint32_t from_bytes, bytes;
};

enum class warp_state { running, at_barrier, done };

struct warp {
    char* registers = nullptr;
    const char* constants = nullptr; // their end
    std::uint32_t* predicates = nullptr;
    std::uint32_t mask = 0; // of the lanes that do the instruction at hand
    running_block* block = nullptr;
    const lowered_kernel* kernel = nullptr;

    int index = 0;
    std::int32_t pc = 0;
    std::uint32_t active = 0, exited = 0, present = 0;
    std::vector<fragment> runnable; // besides the active one, by falling pc
    std::vector<fragment> waiting;  // for others
    warp_state state = warp_state::running;
    std::int64_t barrier = 0; // that it waits at
    std::vector<char> local;
    std::vector<async_copy> copies;
    std::uint32_t committed[lanes] = {}; // groups of copies

    [[nodiscard]] const char* at(register_place p) const { return (p >= 0 ? registers : constants) + p; }
    // The lanes of an operand, of 4 or 8 bytes each.
    template <class Slot>
    [[nodiscard]] const Slot* slots(register_place p) const {
        return reinterpret_cast<const Slot*>(at(p));
    }
    [[nodiscard]] const std::uint32_t* words(register_place p) const { return slots<std::uint32_t>(p); }
    [[nodiscard]] const std::uint64_t* longs(register_place p) const { return slots<std::uint64_t>(p); }

    [[noreturn]] void fail(fault_kind kind, const instruction& i, int lane, const std::string& what) const;
};

// Writes the lanes of a mask.
inline void put(warp& w, register_place to, const std::uint32_t* from, std::uint32_t mask) {
    char* const d = w.registers + to;
#if defined(__AVX512F__)
    _mm512_mask_store_epi32(d, static_cast<__mmask16>(mask), _mm512_loadu_si512(from));
    _mm512_mask_store_epi32(d + 64, static_cast<__mmask16>(mask >> 16), _mm512_loadu_si512(from + 16));
#else
    auto* const words = reinterpret_cast<std::uint32_t*>(d);
    for (int l = 0; l < lanes; ++l) {
        words[l] = (mask >> l & 1) != 0 ? from[l] : words[l];
    }
#endif
}
inline void put(warp& w, register_place to, const std::uint64_t* from, std::uint32_t mask) {
    char* const d = w.registers + to;
#if defined(__AVX512F__)
    for (int i = 0; i < 4; ++i) {
        _mm512_mask_store_epi64(d + 64 * i, static_cast<__mmask8>(mask >> (8 * i)), _mm512_loadu_si512(from + 8 * i));
    }
#else
    auto* const longs = reinterpret_cast<std::uint64_t*>(d);
    for (int l = 0; l < lanes; ++l) {
        longs[l] = (mask >> l & 1) != 0 ? from[l] : longs[l];
    }
#endif
}
inline void put_predicate(warp& w, register_place to, std::uint32_t bits) {
    w.predicates[to] = (w.predicates[to] & ~w.mask) | (bits & w.mask);
}

// Bit i is whether word i is not 0; words are 0 or all ones.
inline std::uint32_t bits_of(const std::uint32_t* words) {
#if defined(__AVX512DQ__)
    return _mm512_movepi32_mask(_mm512_loadu_si512(words)) |
           static_cast<std::uint32_t>(_mm512_movepi32_mask(_mm512_loadu_si512(words + 16))) << 16;
#else
    std::uint32_t result = 0;
    for (int l = 0; l < lanes; ++l) {
        result |= (words[l] & 1U) << l;
    }
    return result;
#endif
}

// Calls f(lane) for the lanes of a mask.
template <class F>
void for_lanes(std::uint32_t mask, const F& f) {
    for (; mask != 0; mask &= mask - 1) {
        f(std::countr_zero(mask));
    }
}

} // namespace ptx
