// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstdint>
#include <type_traits>

#include <unmask/config.hpp>
#include <unmask/cuda/runtime/calls.cuh>
#include <unmask/cuda/runtime/collectives.cuh>
#include <unmask/cuda/runtime/device.cuh>
#include <unmask/executor/cuda_executor.cuh>
#include <unmask/sampler/candidate.hpp>
#include <unmask/sampler/detail/device/sequence.cuh>
#include <unmask/sampler/selector/selector.hpp>
#include <unmask/tensor/float_types.hpp>

// Ranks the candidates of each sequence by the numbers of a selector. Up to 4096 are sorted by one block; of more, each
// block sorts a tile, and then every candidate counts those of the other tiles that come before it.

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

inline constexpr int rank_threads = 256;   // of a block
inline constexpr int most_rank_items = 16; // of a thread
inline constexpr int largest_rank_tile = rank_threads * most_rank_items;
static_assert(device::sort_bytes<rank_threads, most_rank_items>() <= 48 * 1024, "which every GPU has, unasked");

template <class Selector>
struct rank_parameters {
    device_state state;
    Selector selector;
    int tiles;           // of each sequence, the last of them not full
    int tile_size;       // how many candidates one has
    std::uint64_t* keys; // [rankings][rows], sorted by tiles; unused if there is one tile
    int* tile_order;     // the same

    static constexpr int rankings = rankings_of<Selector>;
    [[nodiscard]] UNMASK_DEVICE int ranking() const { return device::block() % rankings; }
    [[nodiscard]] UNMASK_DEVICE int tile_index() const { return device::block() / rankings % tiles; }
    [[nodiscard]] UNMASK_DEVICE const device_sequence& sequence() const {
        return state.sequences[device::block() / rankings / tiles];
    }
    // Where the ranking of the sequence begins.
    [[nodiscard]] UNMASK_DEVICE index_t begin() const { return ranking() * state.most_rows + sequence().first; }
};

// The bits of a number, so that a higher one comes first.
UNMASK_DEVICE std::uint64_t falling_key(double number) {
    const auto bits = bits_as<std::uint64_t>(number + 0.0); // −0 is 0
    constexpr std::uint64_t sign = std::uint64_t{1} << 63;
    return (bits & sign) != 0 ? bits : ~(bits | sign);
}

// Sorts a tile of rank_threads · Items candidates. A block for each tile of each ranking of each sequence.
template <int Items, class Selector>
UNMASK_KERNEL(rank_threads, 1)
void rank_kernel(rank_parameters<Selector> p) {
    const device_sequence& sequence = p.sequence();
    const int first = p.tile_index() * p.tile_size;
    if (p.state.counts->rows == 0 || !sequence.active || first >= sequence.candidates) {
        return;
    }
    std::uint64_t keys[Items];
    int places[Items];
    UNMASK_UNROLL
    for (int item = 0; item < Items; ++item) {
        const int place = first + device::thread() * Items + item;
        places[item] = place;
        keys[item] = ~std::uint64_t{0};
        if (place < sequence.candidates) {
            const candidate& position = p.state.candidates[sequence.first + place];
            keys[item] = falling_key(rank_number(p.selector, p.ranking(), position));
        }
    }
    device::sort<rank_threads, Items>(keys, places, device::shared_memory());
    int* const order = p.tiles == 1 ? p.state.order : p.tile_order;
    UNMASK_UNROLL
    for (int item = 0; item < Items; ++item) {
        const int rank = first + device::thread() * Items + item;
        if (rank < sequence.candidates) {
            order[p.begin() + rank] = places[item];
            if (p.tiles > 1) {
                p.keys[p.begin() + rank] = keys[item];
            }
        }
    }
}

// How many of `count` rising keys are below `key`, or not above it.
UNMASK_DEVICE int keys_before(const std::uint64_t* keys, int count, std::uint64_t key, bool equal_too) {
    int begin = 0;
    while (begin < count) {
        const int middle = begin + (count - begin) / 2;
        const bool before = keys[middle] < key || (equal_too && keys[middle] == key);
        begin = before ? middle + 1 : begin;
        count = before ? count : middle;
    }
    return begin;
}

// Merges the tiles. A block for each, a thread for a candidate at a time.
template <class Selector>
UNMASK_KERNEL(rank_threads, 1)
void merge_ranks_kernel(rank_parameters<Selector> p) {
    const device_sequence& sequence = p.sequence();
    if (p.state.counts->rows == 0 || !sequence.active) {
        return;
    }
    const int mine = p.tile_index();
    const int begin = mine * p.tile_size;
    const int end = begin + p.tile_size < sequence.candidates ? begin + p.tile_size : sequence.candidates;
    const std::uint64_t* const keys = p.keys + p.begin();
    for (int at = begin + device::thread(); at < end; at += rank_threads) {
        int rank = at - begin;
        for (int other = 0; other * p.tile_size < sequence.candidates; ++other) {
            if (other != mine) { // of equal ones, those of earlier tiles have the lower positions
                const int first = other * p.tile_size;
                const int count = sequence.candidates - first < p.tile_size ? sequence.candidates - first : p.tile_size;
                rank += keys_before(keys + first, count, keys[at], other < mine);
            }
        }
        p.state.order[p.begin() + rank] = p.tile_order[p.begin() + at];
    }
}

// Enqueues the ranking of all sequences, the largest of which has `most` candidates.
template <class Selector>
void launch_ranking(const cuda_executor& exec, const device_state& state, const Selector& selector, int most,
                    std::uint64_t* keys, int* tile_order) {
    const auto launch_tiles = [&]<int Items>(std::integral_constant<int, Items>) {
        constexpr int tile_size = rank_threads * Items;
        const int tiles = (most + tile_size - 1) / tile_size;
        const int blocks = state.sequence_count * tiles * rankings_of<Selector>;
        const rank_parameters<Selector> parameters{state, selector, tiles, tile_size, keys, tile_order};
        launch(&rank_kernel<Items, Selector>, blocks, rank_threads, device::sort_bytes<rank_threads, Items>(),
               exec.stream, parameters);
        if (tiles > 1) {
            launch(&merge_ranks_kernel<Selector>, blocks, rank_threads, 0, exec.stream, parameters);
        }
    };
    if (most <= rank_threads) {
        launch_tiles(std::integral_constant<int, 1>());
    } else if (most <= 4 * rank_threads) {
        launch_tiles(std::integral_constant<int, 4>());
    } else {
        launch_tiles(std::integral_constant<int, most_rank_items>());
    }
}

} // namespace detail::cuda
UNMASK_NAMESPACE_END
