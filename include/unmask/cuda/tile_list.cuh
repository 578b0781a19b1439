// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstdint>

#include <unmask/config.hpp>
#include <unmask/cuda/device.cuh>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/mask/ranges.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail::gpu {

// A tile to visit, in one register: tiles begin at even numbers.
struct tile {
    int begin_and_partial = 0;

    UNMASK_DEVICE int begin() const { return begin_and_partial & ~1; }
    UNMASK_DEVICE bool partial() const { return (begin_and_partial & 1) != 0; } // its scores must be masked
};

// What a list is made of: the tiles of keys that some queries must visit, or the tiles of queries that must visit some keys.
// Tiles are counted from `origin`, and end at `end`.
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
    UNMASK_DEVICE auto seen() const { return mask.query_ranges(keys.begin, keys.end, end); }
    UNMASK_DEVICE tile_class classify(range queries) const {
        return mask.classify(queries.begin, queries.end, keys.begin, keys.end);
    }
};

// The tiles of Size along an axis, in rising order. The lanes of a warp ask the mask about 32 tiles at once, each about its
// own; what they found is one bit a tile, in shared memory. A thread remembers nothing but its tile.
template <int Size>
struct tile_list {
    static_assert(Size % 2 == 0);
    struct state {
        int next; // the first tile not asked about; bit 0 is tile next − 32
        int last;
        std::uint32_t visit;
        std::uint32_t full;
    };
    state* memory;

    // Part `part` of `parts` of the axis. By one thread.
    template <class Axis>
    UNMASK_DEVICE void set(const Axis& axis, int part, int parts) const {
        *memory = {0, 0, 0, 0};
        if (axis.empty()) {
            return;
        }
        const auto seen = axis.seen();
        const index_t end = seen.at(seen.count - 1).end - axis.origin;
        if (seen.count > 0 && end > 0) {
            const int first = static_cast<int>(larger(seen.at(0).begin - axis.origin, 0) / Size);
            const int count = static_cast<int>((end + Size - 1) / Size) - first;
            memory->next = first + static_cast<int>(static_cast<index_t>(count) * part / parts);
            memory->last = first + static_cast<int>(static_cast<index_t>(count) * (part + 1) / parts);
        }
    }

    // Moves on from `at`; false if it was the last one. axis() gives what `set` got: it is needed seldom, and not worth
    // registers in between. By all threads of the block.
    template <class AxisOf>
    UNMASK_DEVICE bool next(const AxisOf& axis, tile& at) const {
        const int passed = at.begin() / Size - (memory->next - device::warp_size);
        std::uint32_t visit = memory->visit & device::shift_left(~1U, static_cast<std::uint32_t>(passed));
        while (visit == 0) {
            if (memory->next >= memory->last) {
                return false;
            }
            device::barrier();
            if (device::warp() == 0) {
                ask(axis());
            }
            device::barrier();
            visit = memory->visit;
        }
        const int bit = device::lowest_bit(visit);
        at = {(memory->next - device::warp_size + bit) * Size + ((memory->full >> bit & 1U) == 0 ? 1 : 0)};
        return true;
    }

private:
    template <class Axis>
    UNMASK_DEVICE void ask(const Axis& axis) const {
        const state before = *memory;
        const int number = before.next + device::lane();
        const index_t begin = axis.origin + static_cast<index_t>(number) * Size;
        const range mine{begin, smaller(begin + Size, axis.end)};
        tile_class kind = tile_class::empty;
        if (number < before.last) {
            const auto seen = axis.seen();
            bool met = false;
            unrolled<decltype(seen)::capacity>([&](int i) { met = met || !intersect(seen.at(i), mine).empty(); });
            if (met) {
                kind = axis.classify(mine);
            }
        }
        const std::uint32_t visit = device::ballot(kind != tile_class::empty);
        const std::uint32_t full = device::ballot(kind == tile_class::full && mine.end - mine.begin == Size);
        device::warp_barrier(); // all lanes have read
        if (device::lane() == 0) {
            *memory = {before.next + device::warp_size, before.last, visit, full};
        }
    }
};

} // namespace detail::gpu
UNMASK_NAMESPACE_END
