// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <unmask/cuda/attention/block_order.cuh>
#include <unmask/cuda/attention/seen_keys.cuh>
#include <unmask/cuda/attention/shared_tile.cuh>
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

struct list_parameters {
    any_mask mask;
    range positions; // of the queries, or of the keys
    index_t size;    // of the others
    index_t offset;  // of the queries
    int part;
    int parts;
    int* tiles; // begin and partial of each
    int* count;
};

template <bool OfKeys>
UNMASK_DEVICE void set_list(const small_list& list, const list_parameters& p) {
    if constexpr (OfKeys) {
        list.set<64>(kernels::key_axis<any_mask>{p.mask, p.positions, p.size}, p.part, p.parts);
    } else {
        list.set<64>(kernels::query_axis<any_mask>{p.mask, p.positions, p.offset + p.size, p.offset}, p.part, p.parts);
    }
}

template <bool OfKeys>
__global__ __launch_bounds__(64) void list_kernel(list_parameters p) {
    const small_list list{reinterpret_cast<small_list::state*>(device::shared_memory())};
    set_list<OfKeys>(list, p);
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

template <bool OfKeys>
std::vector<listed_tile> listed(list_parameters p) {
    const device_array<int> tiles(static_cast<std::size_t>(2 * p.size + 2));
    const device_array<int> count(std::size_t{1});
    p.tiles = tiles.data();
    p.count = count.data();
    detail::launch(&list_kernel<OfKeys>, 1, 64, sizeof(small_list::state), nullptr, p);
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

__global__ __launch_bounds__(128) void order_kernel(order_parameters p) {
    const kernels::block_work work = kernels::work_of(p.grid, device::block());
    const int tile = kernels::longest_tile(p.grid, work.tile, reinterpret_cast<int*>(device::shared_memory()),
                                           [&](int each) { return p.costs[each]; });
    if (device::thread() == 0) {
        p.taken[device::block()] = tile;
    }
}

struct place_parameters {
    unsigned* places; // row × chunk
    int* wrong;       // how many places `moved` leads elsewhere
};

template <class Tile>
inline constexpr unsigned rows_of = Tile::bytes / (Tile::chunks * 16);

// A thread for each row.
template <class Tile>
__global__ void place_kernel(place_parameters p) {
    const unsigned row = threadIdx.x;
    for (unsigned chunk = 0; chunk < Tile::chunks; ++chunk) {
        const unsigned place = Tile::place(row, chunk);
        p.places[row * Tile::chunks + chunk] = place;
        if (row < 16 && chunk < 2) { // what is reached from here by `moved`
            for (unsigned down = 0; row + down < rows_of<Tile>; down += 16) {
                for (unsigned right = 0; chunk + right < Tile::chunks; right += 2) {
                    const unsigned there = Tile::moved(place, static_cast<int>(down), static_cast<int>(right));
                    atomicAdd(p.wrong, there != Tile::place(row + down, chunk + right) ? 1 : 0);
                    if (right % 4 == 2) { // and in two steps
                        const unsigned halfway = Tile::moved(place, 0, static_cast<int>(right) - 2);
                        const unsigned then = Tile::moved(halfway, static_cast<int>(down), 2);
                        atomicAdd(p.wrong, then != there ? 1 : 0);
                    }
                }
            }
        }
    }
}

// The tiles of 2 keys that queries at `positions` visit, by tile_list; part `part` of `parts`. The mask's ranges are in
// device memory.
inline std::vector<listed_tile> listed_key_tiles(const any_mask& mask, range positions, index_t keys, int part,
                                                 int parts) {
    return listed<true>({mask, positions, keys, 0, part, parts, nullptr, nullptr});
}

// The tiles of 2 queries, counted from `offset`, that visit the keys.
inline std::vector<listed_tile> listed_query_tiles(const any_mask& mask, range keys, index_t queries, index_t offset) {
    return listed<false>({mask, keys, queries, offset, 0, 1, nullptr, nullptr});
}

inline constexpr int seen_words = 6; // of 32 keys

template <class Mask>
struct seen_parameters {
    Mask mask;
    int keys;
    std::uint32_t* words; // [positions][seen_words]
};

// A block for each position, a thread for each word.
template <class Mask>
__global__ void seen_kernel(seen_parameters<Mask> p) {
    const int word = device::thread();
    p.words[device::block() * seen_words + word] = kernels::seen_of(p.mask, device::block(), word * 32, p.keys);
}

template <class Mask>
std::vector<std::uint32_t> seen_words_of(const Mask& mask, int positions, int keys) {
    const device_array<std::uint32_t> words(static_cast<std::size_t>(positions) * seen_words);
    detail::launch(&seen_kernel<Mask>, positions, seen_words, 0, nullptr,
                   seen_parameters<Mask>{mask, keys, words.data()});
    return words.to_host();
}

// A mask as a function of two positions.
struct visible_to {
    any_mask mask;

    UNMASK_HOST_DEVICE bool operator()(index_t q, index_t k) const { return mask.visible(q, k); }
};

// Where the chunks of a tile's rows lie. `wrong` is set to how many of them `moved` misses.
template <class Tile>
std::vector<unsigned> places_in(int& wrong) {
    const device_array<unsigned> places(std::size_t{rows_of<Tile> * Tile::chunks});
    const device_array<int> missed(std::vector<int>(1));
    detail::launch(&place_kernel<Tile>, 1, static_cast<int>(rows_of<Tile>), 0, nullptr,
                   place_parameters{places.data(), missed.data()});
    wrong = missed.to_host()[0];
    return places.to_host();
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
