// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <vector>

#include <unmask/cuda/attention/block_order.cuh>
#include <unmask/cuda/attention/tile_list.cuh>
#include <unmask/cuda/runtime/calls.cuh>
#include <unmask/mask/ranges.hpp>

#include "../../attention/any_mask.hpp"
#include "device_memory.hpp"

// Parts of the attention kernels, each in a kernel of its own.

namespace test {

using namespace unmask;
namespace kernels = unmask::detail::cuda;
namespace device = unmask::detail::device;

struct listed_tile {
    int begin;
    bool partial;
    friend bool operator==(const listed_tile&, const listed_tile&) = default;
};

using small_list = kernels::tile_list<2>;

template <class Axis>
struct list_parameters {
    Axis axis;
    int part;
    int parts;
    int* tiles; // begin and partial of each
    int* count;
};

template <class Axis>
UNMASK_KERNEL(64, 1)
void list_kernel(list_parameters<Axis> p) {
    const small_list list{reinterpret_cast<small_list::state*>(device::shared_memory())};
    list.set<64>(p.axis, p.part, p.parts);
    device::barrier();
    kernels::tile at = list.before_first();
    int count = 0;
    while (list.next(at)) {
        if (device::thread() == 5) {
            p.tiles[2 * count] = at.begin();
            p.tiles[2 * count + 1] = at.partial() ? 1 : 0;
        }
        ++count;
    }
    if (device::thread() == 5) {
        *p.count = count;
    }
}

template <class Axis>
std::vector<listed_tile> listed(const Axis& axis, index_t most, int part, int parts) {
    const device_array<int> tiles(static_cast<std::size_t>(2 * most + 2));
    const device_array<int> count(1);
    detail::launch(&list_kernel<Axis>, 1, 64, sizeof(small_list::state), nullptr,
                   list_parameters<Axis>{axis, part, parts, tiles.data(), count.data()});
    const std::vector<int> numbers = tiles.to_host();
    std::vector<listed_tile> result;
    for (int i = 0; i < count.to_host()[0]; ++i) {
        const auto at = static_cast<std::size_t>(2 * i);
        result.push_back({numbers[at], numbers[at + 1] != 0});
    }
    return result;
}

struct order_parameters {
    kernels::block_grid grid;
    const int* costs;
    int* taken;
};

UNMASK_KERNEL(128, 1)
void order_kernel(order_parameters p) {
    const kernels::block_work work = kernels::work_of(p.grid, device::block());
    const int tile = kernels::longest_tile(p.grid, work.tile, reinterpret_cast<int*>(device::shared_memory()),
                                           [&](int each) { return p.costs[each]; });
    if (device::thread() == 0) {
        p.taken[device::block()] = tile;
    }
}

// The tiles of 2 keys that queries at `positions` visit, by tile_list; part `part` of `parts`.
inline std::vector<listed_tile> listed_key_tiles(const any_mask& mask, range positions, index_t keys, int part,
                                                 int parts) {
    return listed(kernels::key_axis<any_mask>{mask, positions, keys}, keys, part, parts);
}

// The tiles of 2 queries, counted from `offset`, that visit the keys.
inline std::vector<listed_tile> listed_query_tiles(const any_mask& mask, range keys, index_t queries, index_t offset) {
    return listed(kernels::query_axis<any_mask>{mask, keys, offset + queries, offset}, queries, 0, 1);
}

// For each block of a grid of row tiles that cost as much as `costs` says, in order: the tile that it takes.
inline std::vector<int> tiles_by_length(const std::vector<int>& costs) {
    const kernels::block_grid grid{1, static_cast<int>(costs.size()), 1, 1, true};
    const device_array<int> on_device(costs);
    const device_array<int> taken(static_cast<std::size_t>(grid.blocks()));
    detail::launch(&order_kernel, grid.blocks(), 128, 65 * sizeof(int), nullptr,
                   order_parameters{grid, on_device.data(), taken.data()});
    return taken.to_host();
}

} // namespace test
