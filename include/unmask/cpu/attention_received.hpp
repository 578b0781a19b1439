// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>

#include <unmask/config.hpp>
#include <unmask/cpu/attention_problem.hpp>
#include <unmask/cpu/executor.hpp>
#include <unmask/cpu/packed.hpp>
#include <unmask/cpu/score_tile.hpp>
#include <unmask/mask/tiles.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// One key tile of one head: what each of its keys receives from all queries, cⱼ = Σᵢ exp(sᵢⱼ − LSEᵢ).
template <class T, mask_policy Mask>
inline void received_tile(const attention_problem<T>& problem, tensor_view<float, 3> received, const Mask& mask,
                          index_t sequence, index_t head, range columns, float* scratch) {
    const index_t width = problem.width();
    float* const queries = scratch;
    float* const scores = queries + query_tile * width;
    float* const keys = scores + query_tile * key_tile;
    float* const sums = keys + problem.head_dim * key_tile;
    const index_t count = columns.end - columns.begin;
    pack_transposed(problem.key, sequence, head / problem.group(), columns.begin, count, keys);
    std::fill_n(sums, key_tile, 0.0F);

    const index_t offset = problem.query_offset;
    for_each_query_tile(mask, columns.begin, columns.end, offset, offset + problem.queries(sequence), query_tile,
                        [&](index_t q_begin, index_t q_end, tile_class kind) {
                            const tile_place tile{q_begin, q_end, columns.begin, columns.end};
                            pack_rows(problem.query, sequence, head, q_begin - offset, tile.rows(), width,
                                      problem.query_factor(), queries);
                            score_tile(problem, mask, tile, kind, queries, keys, scores);
                            for (index_t row = 0; row < tile.rows(); ++row) {
                                const vfloat sum =
                                    broadcast(problem.base_2_sum(sequence, head, q_begin - offset + row));
                                for (index_t c = 0; c < tile.padded_columns(); c += lanes) {
                                    store(sums + c, load(sums + c) + exp2(load(scores + row * key_tile + c) - sum));
                                }
                            }
                        });
    std::copy_n(sums, count, received.pointer(sequence, head, columns.begin));
}

template <class T, mask_policy Mask>
void attention_received(const cpu_executor& exec, const attention_problem<T>& problem, tensor_view<float, 3> received,
                        const Mask& mask) {
    const index_t scratch_size = query_tile * (problem.width() + key_tile) + (problem.head_dim + 1) * key_tile;
    const float_buffer scratch(exec.workers() * scratch_size);
    const index_t tiles = tiles_of(problem.key_length, key_tile);
    exec.parallel_for(problem.batch * problem.heads * tiles, [&](index_t task, int worker) {
        const index_t sequence = task / tiles / problem.heads;
        const index_t head = task / tiles % problem.heads;
        const index_t first = task % tiles * key_tile;
        const index_t last = std::min(first + key_tile, problem.key_length);
        const index_t cut = std::clamp(problem.keys(sequence), first, last);
        if (first < cut) {
            received_tile(problem, received, mask, sequence, head, {first, cut},
                          scratch.data() + worker * scratch_size);
        }
        std::fill_n(received.pointer(sequence, head, cut), last - cut, 0.0F);
    });
}

} // namespace detail
UNMASK_NAMESPACE_END
