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

// A block's shared memory, besides tiles. What concerns a tile of queries is there twice: one is set while the other is
// in use.
struct received_state {
    using seen_type = seen_keys<received_size, received_size>;
    using list_state = tile_list<received_size>::state;
    static constexpr int most_sums = 16; // for each key
    static constexpr int bytes = 2 * seen_type::bytes + static_cast<int>(sizeof(list_state)) +
                                 (2 + most_sums) * received_size * static_cast<int>(sizeof(float));

    std::byte* data;

    UNMASK_DEVICE tile_list<received_size> tiles() const { return {reinterpret_cast<list_state*>(data)}; }
    UNMASK_DEVICE seen_type seen(int turn) const {
        return {reinterpret_cast<std::uint32_t*>(data + sizeof(list_state) + turn * seen_type::bytes)};
    }
    UNMASK_DEVICE float* log_sum_exp(int turn) const { // [received_size]
        return reinterpret_cast<float*>(data + sizeof(list_state) + 2 * seen_type::bytes) + turn * received_size;
    }
    UNMASK_DEVICE float* sums() const { return log_sum_exp(2); } // [most_sums][received_size]
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

    // What is known of a tile's queries, for all to see after a barrier.
    template <int Threads>
    UNMASK_DEVICE void set_rows(const received_state& state, int turn, tile at) const {
        const int row = device::thread();
        if (row < received_size) {
            const int query = at.begin() + row;
            state.log_sum_exp(turn)[row] = query < queries ? p.call.log_sum_exp.at(sequence, head, query) : 0.0F;
        }
        if (at.partial()) {
            state.seen(turn).template set<Threads>(
                p.mask, queries - at.begin(), [&](int each) { return p.call.query_offset + at.begin() + each; },
                first_key, keys);
        }
    }

    // Adds up sums()[0 … count) of each key, in order. Keys past the sequence's length receive 0.
    UNMASK_DEVICE void write(const received_state& state, int count) const {
        const int key = first_key + device::thread();
        if (device::thread() < received_size && key < p.call.key_length) {
            float total = 0.0F;
            for (int i = 0; i < count; ++i) {
                total += state.sums()[i * received_size + device::thread()];
            }
            p.received.at(sequence, head, key) = key < keys ? total : 0.0F;
        }
    }
};

} // namespace detail::cuda
UNMASK_NAMESPACE_END
