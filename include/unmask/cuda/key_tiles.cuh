// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstdint>

#include <unmask/config.hpp>
#include <unmask/cuda/device.cuh>
#include <unmask/cuda/kernel_call.cuh>
#include <unmask/mask/mask_policy.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail::gpu {

// A tile of keys to visit, in one register: tiles begin at even keys.
struct key_tile {
    int begin_and_partial = 0;

    UNMASK_DEVICE int begin() const { return begin_and_partial & ~1; }
    UNMASK_DEVICE bool partial() const { return (begin_and_partial & 1) != 0; } // its scores must be masked
};

// The key tiles that some queries must visit, in rising order. The lanes of a warp ask the mask about 32 tiles at once,
// each about its own; what they found is one bit a tile, in shared memory. A thread remembers nothing but its tile.
template <int Size>
struct key_tiles {
    static_assert(Size % 2 == 0);
    struct state {
        int next; // the first tile not asked about; bit 0 is tile next − 32
        int last;
        std::uint32_t visit;
        std::uint32_t full;
    };
    state* memory;

    // For queries at `positions` and part `part` of `parts` of the keys they see. By one thread.
    template <mask_policy Mask>
    UNMASK_DEVICE void set(const Mask& mask, range positions, int keys, int part, int parts) const {
        *memory = {0, 0, 0, 0};
        if (positions.empty()) {
            return;
        }
        const auto seen = mask.key_ranges(positions.begin, positions.end, keys);
        if (seen.count > 0) {
            const int first = static_cast<int>(seen.at(0).begin / Size);
            const int count = static_cast<int>((seen.at(seen.count - 1).end + Size - 1) / Size) - first;
            memory->next = first + static_cast<int>(static_cast<index_t>(count) * part / parts);
            memory->last = first + static_cast<int>(static_cast<index_t>(count) * (part + 1) / parts);
        }
    }

    // Moves on from `tile`; false if it was the last one. positions() gives what `set` got. By all threads of the block.
    template <mask_policy Mask, class Positions>
    UNMASK_DEVICE bool next(const Mask& mask, const Positions& positions, int keys, key_tile& tile) const {
        const int passed = tile.begin() / Size - (memory->next - device::warp_size);
        std::uint32_t visit = memory->visit & device::shift_left(~1U, static_cast<std::uint32_t>(passed));
        while (visit == 0) {
            if (memory->next >= memory->last) {
                return false;
            }
            device::barrier();
            if (device::warp() == 0) {
                ask(mask, positions(), keys);
            }
            device::barrier();
            visit = memory->visit;
        }
        const int bit = device::lowest_bit(visit);
        tile = {(memory->next - device::warp_size + bit) * Size + ((memory->full >> bit & 1U) == 0 ? 1 : 0)};
        return true;
    }

private:
    template <mask_policy Mask>
    UNMASK_DEVICE void ask(const Mask& mask, range positions, int keys) const {
        const state before = *memory;
        const int tile = before.next + device::lane();
        const index_t begin = static_cast<index_t>(tile) * Size;
        const index_t end = smaller(begin + Size, keys);
        tile_class kind = tile_class::empty;
        if (tile < before.last) {
            const auto seen = mask.key_ranges(positions.begin, positions.end, keys);
            bool met = false;
            unrolled<decltype(seen)::capacity>(
                [&](int i) { met = met || !intersect(seen.at(i), {begin, end}).empty(); });
            if (met) {
                kind = mask.classify(positions.begin, positions.end, begin, end);
            }
        }
        const std::uint32_t visit = device::ballot(kind != tile_class::empty);
        const std::uint32_t full = device::ballot(kind == tile_class::full && end - begin == Size);
        device::warp_barrier(); // all lanes have read
        if (device::lane() == 0) {
            *memory = {before.next + device::warp_size, before.last, visit, full};
        }
    }
};

} // namespace detail::gpu
UNMASK_NAMESPACE_END
