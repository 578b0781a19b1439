// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <cstdint>

#include <unmask/config.hpp>
#include <unmask/cuda/attention/kernel_call.cuh>
#include <unmask/cuda/attention/seen_keys.cuh>
#include <unmask/cuda/attention/tile_list.cuh>
#include <unmask/cuda/runtime/device.cuh>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/numeric/detail/base_2.hpp>

// What keys receive: what the kernels with and without tensor cores share.

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

template <class T, mask_policy Mask>
struct received_parameters {
    kernel_call<T> call; // its log_sum_exp is read
    row_values received; // [sequences, heads, key_length]
    Mask mask;
};

inline constexpr int received_size = 64; // keys of a block, and queries of a tile

// A block's shared memory, besides tiles.
struct received_state {
    using seen_type = seen_keys<received_size, received_size>;
    using tile_list = cuda::tile_list<received_size>;
    static constexpr int bytes = seen_type::bytes + static_cast<int>(sizeof(tile_list::state));

    std::byte* data;

    UNMASK_DEVICE seen_type seen() const { return {reinterpret_cast<std::uint32_t*>(data)}; }
    UNMASK_DEVICE tile_list tiles() const { return {reinterpret_cast<tile_list::state*>(data + seen_type::bytes)}; }
};

// One block's part of the work: some keys of one head of one sequence.
template <class T, mask_policy Mask>
struct received_block {
    const received_parameters<T, Mask>& p;
    int sequence;
    int head;
    int first_key;
    int queries;
    int keys;

    UNMASK_DEVICE received_block(const received_parameters<T, Mask>& parameters, int block) : p(parameters) {
        const int tiles = tiles_of(p.call.key_length, received_size);
        const int heads = p.call.kv_heads * p.call.group;
        first_key = block % tiles * received_size;
        head = block / tiles % heads;
        sequence = block / tiles / heads;
        queries = p.call.queries(sequence);
        keys = p.call.keys(sequence);
    }

    // Lists the tiles of queries to visit. By all threads.
    template <int Threads>
    UNMASK_DEVICE void begin(const received_state& state) const {
        const index_t end = smaller(static_cast<index_t>(first_key) + received_size, keys);
        const query_axis<Mask> axis{p.mask, {first_key, end}, p.call.query_offset + queries, p.call.query_offset};
        state.tiles().template set<Threads>(axis, 0, 1);
        device::barrier();
    }

    // Asks the mask which keys the queries of a tile see. By all threads; a barrier must follow.
    template <int Threads>
    UNMASK_DEVICE void set_seen(const received_state& state, tile at) const {
        state.seen().template set<Threads>(
            p.mask, queries - at.begin(), [&](int row) { return p.call.query_offset + at.begin() + row; }, first_key,
            keys);
    }

    // Of a query, which may be one that does not exist: then its scores are hidden.
    UNMASK_DEVICE float log_sum_exp(int query) const {
        return query < queries ? p.call.log_sum_exp.at(sequence, head, query) : 0.0F;
    }

    // Adds up sums [count][received_size] of each key, in order. Keys past the sequence's length receive 0.
    UNMASK_DEVICE void write(const float* sums, int count) const {
        const int key = first_key + device::thread();
        if (device::thread() < received_size && key < p.call.key_length) {
            float total = 0.0F;
            for (int i = 0; i < count; ++i) {
                total += sums[i * received_size + device::thread()];
            }
            p.received.at(sequence, head, key) = key < keys ? total : 0.0F;
        }
    }
};

} // namespace detail::cuda
UNMASK_NAMESPACE_END
