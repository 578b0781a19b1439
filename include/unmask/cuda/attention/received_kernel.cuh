// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>

#include <unmask/config.hpp>
#include <unmask/cuda/attention/kernel_call.cuh>
#include <unmask/cuda/attention/received_block.cuh>
#include <unmask/cuda/attention/score_fragment.cuh>
#include <unmask/cuda/attention/shared_tile.cuh>
#include <unmask/cuda/attention/tile_list.cuh>
#include <unmask/cuda/runtime/device.cuh>
#include <unmask/mask/mask_policy.hpp>

// What keys receive, on the tensor cores. A block has a tile of keys of one head, and goes through the tiles of queries
// that see them. The next queries are copied while scores are computed.

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

template <int HeadDim>
struct received_memory {
    using tile_type = shared_tile<received_size, HeadDim>;
    using state_type = received_state;
    static constexpr int bytes = 3 * tile_type::bytes + state_type::bytes;

    UNMASK_DEVICE static tile_type keys() { return {device::shared_memory()}; }
    UNMASK_DEVICE static tile_type queries(int turn) { return {keys().data + (1 + turn) * tile_type::bytes}; }
    // After the last queries: [received_warps][received_size].
    UNMASK_DEVICE static float* sums() { return reinterpret_cast<float*>(keys().data); }
    UNMASK_DEVICE static state_type state() { return {keys().data + 3 * tile_type::bytes}; }
};

inline constexpr int received_warps = received_size / 16; // with 16 rows each
inline constexpr int received_threads = received_warps * device::warp_size;

// For which the compiler is to leave registers. Of 256 columns, two blocks need more shared memory than an A100 has.
template <int HeadDim>
inline constexpr int received_blocks = HeadDim <= 192 ? 2 : 1;

template <int HeadDim, class T, mask_policy Mask>
UNMASK_KERNEL(received_threads, received_blocks<HeadDim>)
void received_kernel(received_parameters<T, Mask> p) {
    if constexpr (device::has_tensor_cores) {
        using memory = received_memory<HeadDim>;
        const received_block<T, Mask> block(p, device::block());
        const auto copy = [&](const tensor<const T>& from, int head, int first, int rows, const auto& to) {
            to.template copy_rows<received_threads>(from.row(block.sequence, 0, head),
                                                    static_cast<int>(from.position_stride), first, rows,
                                                    p.call.head_dim);
        };
        block.template begin<received_threads>(memory::state());
        const auto tiles = memory::state().tiles();
        tile next = tiles.before_first();
        bool more = tiles.next(next);
        if (more) {
            copy(p.call.key, block.head / p.call.group, block.first_key, block.keys, memory::keys());
            copy(p.call.query, block.head, next.begin(), block.queries, memory::queries(0));
        }
        device::commit_copies();

        const int first_row = device::warp() * 16;
        fragment<1, received_size / 8> sums; // of a lane's rows; only [0][j][0] and [0][j][1] are used
        sums.clear();
        for (int turn = 0; more; turn ^= 1) {
            const tile current = next;
            more = tiles.next(next);
            device::wait_copies<0>();
            device::barrier(); // queries are here, and nobody needs those of the turn before any more
            if (more) {
                copy(p.call.query, block.head, next.begin(), block.queries, memory::queries(turn ^ 1));
            }
            device::commit_copies();

            if (current.partial()) {
                block.template set_seen<received_threads>(memory::state(), current);
                device::barrier();
            }
            float log_sum_exp[2]; // read while scores are computed
            UNMASK_UNROLL
            for (int h = 0; h < 2; ++h) {
                log_sum_exp[h] = block.log_sum_exp(current.begin() + first_row + fragment_row(0, h));
            }
            fragment<1, received_size / 8> scores;
            multiply_scores<T>(memory::queries(turn), first_row, memory::keys(), scores);
            transform_scores(p.call, scores);
            if (current.partial()) {
                hide_scores(memory::state().seen(), first_row, scores);
            }
            scores.for_each([&](float score, int, int j, int e) {
                sums.values[0][j][e % 2] += weight_of(product_of(score, p.call.softmax_scale), log_sum_exp[e / 2]);
            });
        }
        device::wait_copies<0>();
        device::barrier(); // nobody needs the keys any more

        UNMASK_UNROLL
        for (int j = 0; j < received_size / 8; ++j) {
            UNMASK_UNROLL
            for (int c = 0; c < 2; ++c) {
                float sum = sums.values[0][j][c];
                UNMASK_UNROLL
                for (int distance = 4; distance < device::warp_size; distance *= 2) { // lanes that have the same column
                    sum += device::shuffle_xor(sum, distance);
                }
                if (device::lane() < 4) {
                    memory::sums()[device::warp() * received_size + fragment_column(j) + c] = sum;
                }
            }
        }
        device::barrier();
        block.write(memory::sums(), received_warps);
    }
}

} // namespace detail::cuda
UNMASK_NAMESPACE_END
