// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/cuda/attention/kernel_call.cuh>
#include <unmask/cuda/attention/plain_tile.cuh>
#include <unmask/cuda/attention/received_block.cuh>
#include <unmask/cuda/attention/tile_list.cuh>
#include <unmask/cuda/runtime/device.cuh>
#include <unmask/mask/mask_policy.hpp>

// What keys receive, without tensor cores: for float, for any GPU, any head dimension and any alignment.

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

static_assert(plain_rows == received_size && plain_keys == received_size);

struct plain_received_memory {
    static constexpr int bytes = plain_tile::bytes + received_state::bytes;

    UNMASK_DEVICE static plain_tile tile() { return {reinterpret_cast<float*>(device::shared_memory())}; }
    // After the last queries: [plain_threads / 16][received_size].
    UNMASK_DEVICE static float* sums() { return tile().data; }
    UNMASK_DEVICE static received_state state() { return {device::shared_memory() + plain_tile::bytes}; }
};

template <class T, mask_policy Mask>
UNMASK_KERNEL(plain_threads, 2)
void plain_received_kernel(received_parameters<T, Mask> p) {
    using memory = plain_received_memory;
    const received_block<T, Mask> block(p, device::block());
    block.template begin<plain_threads>(memory::state());
    const auto tiles = memory::state().tiles();
    float sums[4]{}; // of a thread's columns, over its rows
    tile next = tiles.before_first();
    while (tiles.next(next)) {
        const int first_query = next.begin();
        if (next.partial()) {
            device::barrier(); // nobody needs what was seen in the turn before any more
            block.template set_seen<plain_threads>(memory::state(), next);
            device::barrier();
        }
        float scores[4][4];
        multiply_plain_scores(
            block.queries - first_query,
            [&](int row) { return p.call.query.row(block.sequence, first_query + row, block.head); },
            block.keys - block.first_key,
            [&](int row) { return p.call.key.row(block.sequence, block.first_key + row, block.head / p.call.group); },
            p.call.head_dim, memory::tile(), scores);
        UNMASK_UNROLL
        for (int i = 0; i < 4; ++i) {
            const float log_sum_exp = block.log_sum_exp(first_query + plain_row(i));
            const auto seen = next.partial() ? plain_seen(memory::state().seen(), plain_row(i)) : 0xfU;
            UNMASK_UNROLL
            for (int j = 0; j < 4; ++j) {
                const float score = (seen >> j & 1U) != 0 ? p.call.score(scores[i][j]) : minus_infinity;
                sums[j] += weight_of(score, log_sum_exp);
            }
        }
    }
    device::barrier(); // nobody needs the tile any more
    UNMASK_UNROLL
    for (int j = 0; j < 4; ++j) {
        memory::sums()[device::thread() / 16 * received_size + plain_column(j)] = sums[j];
    }
    device::barrier();
    block.write(memory::sums(), plain_threads / 16);
}

} // namespace detail::cuda
UNMASK_NAMESPACE_END
