// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/cuda/attention/kernel_call.cuh>
#include <unmask/cuda/runtime/device.cuh>
#include <unmask/mask/mask_policy.hpp>

// Which work a block does. Blocks start in the order of their numbers, so the numbers decide what is done first.

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

// The blocks of a launch: tiles × parts of the keys, for each unit (a sequence and a kv head).
struct block_grid {
    int units;
    int tiles;   // of rows, in each unit
    int parts;   // of the keys of a row tile
    int section; // units that run side by side: their keys and values share the second-level cache
    bool uneven; // row tiles differ in work and there are several rounds of blocks: the longest go first

    // Row tiles are put in order by groups, at most 64, of neighbours.
    UNMASK_HOST_DEVICE constexpr int group_size() const { return tiles_of(tiles, 64); }
    UNMASK_HOST_DEVICE constexpr int groups() const { return tiles_of(tiles, group_size()); }
    UNMASK_HOST_DEVICE constexpr int padded_tiles() const { return uneven ? groups() * group_size() : tiles; }
    UNMASK_HOST_DEVICE constexpr int blocks() const { return units * padded_tiles() * parts; }
};

struct block_work {
    int unit;
    int tile; // the `tile`-th longest, if the grid is uneven; may be past the last one
    int part;
};

UNMASK_HOST_DEVICE constexpr block_work work_of(const block_grid& grid, int block) {
    const int of_section = grid.section * grid.padded_tiles() * grid.parts;
    const int first = block / of_section * grid.section;
    const int units = smaller(grid.section, grid.units - first);
    const int inside = block % of_section;
    const int rest = inside / units;
    return {first + inside % units, rest / grid.parts, rest % grid.parts};
}

// The row tile that is the `rank`-th longest by cost_of(tile), which costs little. Found by each block for itself, in
// `memory` [groups + 1]: no kernel before this one, and no list in memory. Collective.
template <class CostOf>
UNMASK_DEVICE int longest_tile(const block_grid& grid, int rank, int* memory, const CostOf& cost_of) {
    const int size = grid.group_size();
    const int groups = grid.groups();
    const int mine = device::thread();
    if (mine < groups) {
        memory[mine] = cost_of(smaller(mine * size + size / 2, grid.tiles - 1));
    }
    device::barrier();
    if (mine < groups) {
        const int cost = memory[mine];
        int longer = 0;
        for (int other = 0; other < groups; ++other) {
            longer += memory[other] > cost || (memory[other] == cost && other < mine) ? 1 : 0;
        }
        if (longer == rank / size) {
            memory[groups] = mine;
        }
    }
    device::barrier();
    return memory[groups] * size + rank % size;
}

} // namespace detail::cuda
UNMASK_NAMESPACE_END
