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

// What a block works on: some keys of one kv head of one sequence.
struct keys_unit {
    int sequence;
    int kv_head;
    int first_key;
    int queries;
    int keys;
    int part;
    int values_taken_out[8]; // by each warp, whether there were any: see hidden_values.cuh
};

// What all threads of a block that owns keys know alike, in shared memory: see block_state, for blocks of queries.
// Turns have two places for their numbers, 0 and 1. What is seen lies between these and over the other turn's, which
// nobody needs meanwhile. With that and a short list, two blocks of 64 or 96 columns fit into 100 KB.
template <int Keys, int Queries>
struct keys_state {
    using seen_type = seen_keys<Queries, Keys>;
    using tile_list = cuda::tile_list<Queries, 16>;
    static constexpr int numbers_bytes = 2 * Queries * static_cast<int>(sizeof(float)); // of a turn
    static constexpr int shared_bytes = seen_type::bytes + numbers_bytes;
    static constexpr int bytes = shared_bytes + static_cast<int>(sizeof(keys_unit) + sizeof(typename tile_list::state));
    static_assert(seen_type::bytes >= numbers_bytes);

    std::byte* data;

    // Of a tile's queries: log-sum-exp, then Δ.
    UNMASK_DEVICE float* numbers(int turn) const { return reinterpret_cast<float*>(data + turn * seen_type::bytes); }
    // Lost when the numbers of the next turn are stored.
    UNMASK_DEVICE seen_type seen(int turn) const {
        return {reinterpret_cast<std::uint32_t*>(data + (1 - turn) * numbers_bytes)};
    }
    UNMASK_DEVICE keys_unit& unit() const { return *reinterpret_cast<keys_unit*>(data + shared_bytes); }
    UNMASK_DEVICE tile_list tiles() const { return {reinterpret_cast<typename tile_list::state*>(&unit() + 1)}; }

    // Finds out what block number `block` has to do; false if nothing. `order` is shared memory for 65 integers, which
    // is free again afterwards. By all threads.
    template <int Threads, class T, mask_policy Mask>
    UNMASK_DEVICE bool begin(const kernel_call<T>& call, const block_grid& grid, const Mask& mask, int block,
                             int* order) const {
        const block_work work = work_of(grid, block);
        keys_unit mine{};
        mine.sequence = work.unit / call.kv_heads;
        mine.kv_head = work.unit % call.kv_heads;
        mine.queries = call.queries(mine.sequence);
        mine.keys = call.keys(mine.sequence);
        mine.part = work.part;
        int tile = work.tile;
        if (grid.uneven) {
            tile = longest_tile(grid, tile, order,
                                [&](int each) { return visiting_queries(axis_of(call, mask, mine, each * Keys)); });
        }
        if (tile >= grid.tiles) {
            return false; // the grid is padded
        }
        mine.first_key = tile * Keys;
        if (device::thread() == 0) {
            unit() = mine;
        }
        tiles().template set<Threads>(axis_of(call, mask, mine, mine.first_key), 0, 1);
        device::barrier();
        return true;
    }

    // Asks the mask which keys the queries see, of the tile that begins at first_query. By all threads; a barrier must
    // follow.
    template <int Threads, class T, mask_policy Mask>
    UNMASK_DEVICE void set_seen(int turn, const kernel_call<T>& call, const Mask& mask, int first_query) const {
        const keys_unit& mine = unit();
        seen(turn).template set<Threads>(
            mask, mine.queries - first_query, [&](int row) { return call.query_offset + first_query + row; },
            mine.first_key, mine.keys);
    }

private:
    template <class T, mask_policy Mask>
    UNMASK_DEVICE static query_axis<Mask> axis_of(const kernel_call<T>& call, const Mask& mask, const keys_unit& unit,
                                                  int first) {
        const index_t end = smaller(static_cast<index_t>(first) + Keys, unit.keys);
        return {mask, {first, end}, call.query_offset + unit.queries, call.query_offset};
    }

    template <mask_policy Mask>
    UNMASK_DEVICE static int visiting_queries(const query_axis<Mask>& axis) {
        index_t visiting = 0;
        if (!axis.empty()) {
            const auto seen = axis.seen();
            unrolled<decltype(seen)::capacity>(
                [&](int i) { visiting += larger(seen.at(i).end - larger(seen.at(i).begin, axis.origin), 0); });
        }
        return static_cast<int>(visiting);
    }
};

} // namespace detail::cuda
UNMASK_NAMESPACE_END
