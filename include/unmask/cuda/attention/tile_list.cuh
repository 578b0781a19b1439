// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstdint>

#include <unmask/config.hpp>
#include <unmask/cuda/runtime/device.cuh>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/mask/ranges.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

// A tile to visit, in one register: tiles begin at even numbers.
struct tile {
    int begin_and_partial = 0;

    UNMASK_DEVICE int begin() const { return begin_and_partial & ~1; }
    UNMASK_DEVICE bool partial() const { return (begin_and_partial & 1) != 0; } // its scores must be masked
};

// What a list is made of: the tiles of keys that some queries must visit, or the tiles of queries that must visit some
// keys. Tiles are counted from `origin`, and end at `end`.
template <mask_policy Mask>
struct key_axis {
    const Mask& mask;
    range queries; // positions
    index_t end;

    static constexpr index_t origin = 0;
    UNMASK_DEVICE bool empty() const { return queries.empty(); }
    UNMASK_DEVICE auto seen() const { return mask.key_ranges(queries.begin, queries.end, end); }
    UNMASK_DEVICE tile_class classify(range keys) const {
        return mask.classify(queries.begin, queries.end, keys.begin, keys.end);
    }
};
template <mask_policy Mask>
struct query_axis {
    const Mask& mask;
    range keys;
    index_t end;
    index_t origin; // the position of query 0

    UNMASK_DEVICE bool empty() const { return keys.empty() || origin >= end; }
    UNMASK_DEVICE auto seen() const { return query_ranges_of(mask, keys.begin, keys.end, end); }
    UNMASK_DEVICE tile_class classify(range queries) const {
        return mask.classify(queries.begin, queries.end, keys.begin, keys.end);
    }
};

// The tiles of Size along an axis, in rising order. The lanes of a block's warps ask the mask about one tile each,
// before the loop; what they found is two bits a tile, in shared memory. A thread remembers nothing but its tile. Where
// there are more tiles than bits, a bit stands for 2, 4, … neighbours.
template <int Size, int Words = 32>
struct tile_list {
    static_assert(Size % 2 == 0);
    static constexpr int most_words = Words;
    struct state {
        std::uint32_t first;
        std::uint32_t count;
        std::uint32_t shift; // a bit stands for 2^shift tiles
        std::uint32_t words; // of those below
        std::uint32_t visit[most_words];
        std::uint32_t full[most_words];
    };
    state* memory;

    // Part `part` of `parts` of the axis. By all threads of the block; a barrier must follow.
    template <int Threads, class Axis>
    UNMASK_DEVICE void set(const Axis& axis, int part, int parts) const {
        int first = 0;
        int last = 0;
        int shift = 0;
        if (!axis.empty()) {
            const auto seen = axis.seen();
            const index_t begin = larger(seen.at(0).begin - axis.origin, 0);
            const index_t end = seen.at(seen.count - 1).end - axis.origin;
            if (seen.count > 0 && begin < end) {
                const auto hull = static_cast<int>(begin / Size);
                const int count = static_cast<int>((end + Size - 1) / Size) - hull;
                first = hull + static_cast<int>(static_cast<index_t>(count) * part / parts);
                last = hull + static_cast<int>(static_cast<index_t>(count) * (part + 1) / parts);
            }
        }
        while ((last - first) >> shift > most_words * device::warp_size) {
            ++shift;
        }
        const int bits = last > first ? ((last - first - 1) >> shift) + 1 : 0;
        for (int word = device::warp(); word * device::warp_size < bits; word += Threads / device::warp_size) {
            const int begin = first + ((word * device::warp_size + device::lane()) << shift);
            const tile_class kind = begin < last ? ask(axis, begin, 1 << shift) : tile_class::empty;
            const std::uint32_t visit = device::ballot(kind != tile_class::empty);
            const std::uint32_t full = device::ballot(kind == tile_class::full);
            if (device::lane() == 0) {
                memory->visit[word] = visit;
                memory->full[word] = full;
            }
        }
        if (device::thread() == 0) {
            memory->first = static_cast<std::uint32_t>(first);
            memory->count = static_cast<std::uint32_t>(last - first);
            memory->shift = static_cast<std::uint32_t>(shift);
            memory->words = static_cast<std::uint32_t>(tiles_of(bits, device::warp_size));
        }
    }

    // What `next` starts from.
    UNMASK_DEVICE tile before_first() const { return {(static_cast<int>(memory->first) - 1) * Size}; }

    // Moves on from `at`; false if it was the last one.
    UNMASK_DEVICE bool next(tile& at) const {
        // Unsigned, to divide by shifts. From the list's first tile:
        const std::uint32_t wanted = static_cast<std::uint32_t>(at.begin() + Size) / Size - memory->first;
        const std::uint32_t shift = memory->shift;
        const std::uint32_t words = memory->words;
        std::uint32_t word = (wanted >> shift) / device::warp_size;
        std::uint32_t hidden = shift_ones((wanted >> shift) % device::warp_size);
        for (; word < words; ++word) {
            const std::uint32_t visit = memory->visit[word] & hidden;
            if (visit != 0) {
                const auto bit = static_cast<std::uint32_t>(device::lowest_bit(visit));
                const std::uint32_t found = (word * device::warp_size + bit) << shift;
                const std::uint32_t number = larger(found, wanted); // inside what the bit of the tile before stands for
                const bool partial = (memory->full[word] >> bit & 1U) == 0;
                at = {static_cast<int>((memory->first + number) * Size) + (partial ? 1 : 0)};
                return number < memory->count;
            }
            hidden = 0xffffffffU;
        }
        return false;
    }

private:
    UNMASK_DEVICE static std::uint32_t shift_ones(int bits) {
        return device::shift_left(0xffffffffU, static_cast<std::uint32_t>(bits));
    }

    // The class of `count` tiles; full only if all of them are whole.
    template <class Axis>
    UNMASK_DEVICE static tile_class ask(const Axis& axis, int first, int count) {
        const index_t begin = axis.origin + static_cast<index_t>(first) * Size;
        const index_t whole = begin + static_cast<index_t>(count) * Size;
        const range mine{begin, smaller(whole, axis.end)};
        const auto seen = axis.seen();
        bool met = false;
        unrolled<decltype(seen)::capacity>([&](int i) { met = met || !intersect(seen.at(i), mine).empty(); });
        const tile_class kind = met ? axis.classify(mine) : tile_class::empty;
        return kind == tile_class::full && mine.end < whole ? tile_class::partial : kind;
    }
};

} // namespace detail::cuda
UNMASK_NAMESPACE_END
