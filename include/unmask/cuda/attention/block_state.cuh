// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <cstdint>

#include <unmask/config.hpp>
#include <unmask/cuda/attention/block_order.cuh>
#include <unmask/cuda/attention/kernel_call.cuh>
#include <unmask/cuda/attention/seen_keys.cuh>
#include <unmask/cuda/attention/tile_list.cuh>
#include <unmask/cuda/runtime/device.cuh>
#include <unmask/mask/mask_policy.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

// What a block works on: some rows of one kv head of one sequence, and one part of the keys that they see.
struct block_unit {
    int sequence;
    int kv_head;
    int rows; // of the kv head, those past the sequence's length not counted
    int keys;
    int part;
    int first_row;
    const void* keys_data; // of position 0
    const void* values_data;
    int values_taken_out[8]; // by each warp, whether there were any: see hidden_values.cuh
};

// What all threads of a forward block know alike. It is in shared memory and not in registers, which are scarce.
template <int Rows, int Keys>
struct block_state {
    using seen_type = seen_keys<Rows, Keys>;
    using tile_list = cuda::tile_list<Keys>;
    static constexpr int bytes =
        seen_type::bytes + static_cast<int>(sizeof(typename tile_list::state) + sizeof(block_unit));

    std::byte* data;

    UNMASK_DEVICE seen_type seen() const { return {reinterpret_cast<std::uint32_t*>(data)}; }
    UNMASK_DEVICE block_unit& unit() const { return *reinterpret_cast<block_unit*>(data + seen_type::bytes); }
    UNMASK_DEVICE tile_list tiles() const { return {reinterpret_cast<typename tile_list::state*>(&unit() + 1)}; }

    // Finds out what block number `block` has to do; false if nothing. `order` is shared memory for 65 integers, which
    // is free again afterwards. By all threads.
    template <int Threads, class T, mask_policy Mask>
    UNMASK_DEVICE bool begin(const kernel_call<T>& call, const block_grid& grid, const Mask& mask, int block,
                             int* order) const {
        const block_work work = work_of(grid, block);
        block_unit mine{};
        mine.sequence = work.unit / call.kv_heads;
        mine.kv_head = work.unit % call.kv_heads;
        mine.rows = call.queries(mine.sequence) * call.group;
        mine.keys = call.keys(mine.sequence);
        mine.keys_data = call.key.row(mine.sequence, 0, mine.kv_head);
        mine.values_data = call.value.row(mine.sequence, 0, mine.kv_head);
        mine.part = work.part;
        int tile = work.tile;
        if (grid.uneven) {
            tile =
                longest_tile(grid, tile, order, [&](int each) { return visited_keys(call, mask, mine, each * Rows); });
        }
        if (tile >= grid.tiles) {
            return false; // the grid is padded
        }
        mine.first_row = tile * Rows;
        if (device::thread() == 0) {
            unit() = mine;
        }
        tiles().template set<Threads>(key_axis<Mask>{mask, positions(call, mine, mine.first_row), mine.keys}, mine.part,
                                      grid.parts);
        device::barrier();
        return true;
    }

    // Asks the mask which keys the rows see, of the tile that begins at first_key. By all threads; a barrier must
    // follow.
    template <int Threads, class T, mask_policy Mask>
    UNMASK_DEVICE void set_seen(const kernel_call<T>& call, const Mask& mask, int first_key) const {
        const block_unit& mine = unit();
        seen().template set<Threads>(
            mask, mine.rows - mine.first_row, [&](int row) { return call.position_of(mine.first_row + row); },
            first_key, mine.keys);
    }

private:
    // The positions of the rows from `first` on.
    template <class T>
    UNMASK_DEVICE static range positions(const kernel_call<T>& call, const block_unit& unit, int first) {
        const int last = smaller(first + Rows, unit.rows);
        return first < last ? range{call.position_of(first), call.position_of(last - 1) + 1} : range{};
    }

    // How many keys these rows visit.
    template <class T, mask_policy Mask>
    UNMASK_DEVICE static int visited_keys(const kernel_call<T>& call, const Mask& mask, const block_unit& unit,
                                          int first) {
        const range rows = positions(call, unit, first);
        index_t visited = 0;
        if (!rows.empty()) {
            const auto seen = mask.key_ranges(rows.begin, rows.end, unit.keys);
            unrolled<decltype(seen)::capacity>([&](int i) { visited += seen.at(i).end - seen.at(i).begin; });
        }
        return static_cast<int>(visited);
    }
};

} // namespace detail::cuda
UNMASK_NAMESPACE_END
