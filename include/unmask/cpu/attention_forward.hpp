// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cmath>

#include <unmask/config.hpp>
#include <unmask/cpu/attention_problem.hpp>
#include <unmask/cpu/executor.hpp>
#include <unmask/cpu/packed.hpp>
#include <unmask/cpu/score_tile.hpp>
#include <unmask/mask/tiles.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// The online softmax of one query tile: what has been seen so far of each row, in base 2.
struct softmax_rows {
    float largest[query_tile];
    float sum[query_tile];
    float* output; // query_tile rows of width floats, not yet divided by sum

    // Turns a tile of scores into probabilities relative to the running maximum, and rescales what came before.
    void absorb(float* scores, index_t rows, index_t columns, index_t width) {
        for (index_t row = 0; row < rows; ++row) {
            float* at = scores + row * key_tile;
            vfloat top = broadcast(minus_infinity);
            for (index_t c = 0; c < columns; c += lanes) {
                top = larger(load(at + c), top);
            }
            const float before = largest[row];
            const float now = std::max(before, largest_of_lanes(top));
            const vfloat shift = broadcast(is_minus_infinity(now) ? 0.0F : now);
            vfloat total{};
            for (index_t c = 0; c < columns; c += lanes) {
                const vfloat probability = exp2(load(at + c) - shift);
                total += probability;
                store(at + c, probability);
            }
            if (now > before) {
                const vfloat rescale = exp2(broadcast(before) - shift);
                sum[row] *= rescale[0];
                for (index_t d = 0; d < width; d += lanes) {
                    store(output + row * width + d, load(output + row * width + d) * rescale);
                }
            }
            largest[row] = now;
            sum[row] += sum_of_lanes(total);
        }
    }
};

// One query tile of one head.
template <class T, mask_policy Mask, sink_policy Sink>
inline void forward_tile(const attention_problem<T>& problem, const Mask& mask, const Sink& sink, index_t sequence,
                         index_t head, range rows, const packed_panels<T>& keys, const packed_rows<T>& values,
                         float* scratch) {
    const index_t width = problem.width();
    const index_t kv_head = head / problem.group();
    const index_t count = rows.end - rows.begin;
    float* const queries = scratch;
    float* const scores = queries + query_tile * width;
    softmax_rows state;
    state.output = scores + query_tile * key_tile;

    pack_rows(problem.query, sequence, head, rows.begin, count, width, problem.query_factor(), queries);
    std::fill_n(state.output, count * width, 0.0F);
    for (index_t row = 0; row < count; ++row) {
        if constexpr (Sink::present) { // attention starts from the sink
            state.largest[row] = sink_score(problem, sink, head, queries + row * width);
            state.sum[row] = 1.0F;
            if constexpr (Sink::has_value) {
                std::copy_n(sink.value(kv_head), problem.head_dim, state.output + row * width);
            }
        } else {
            state.largest[row] = minus_infinity;
            state.sum[row] = 0.0F;
        }
    }

    const index_t q_begin = problem.query_offset + rows.begin;
    for_each_key_tile(mask, q_begin, q_begin + count, problem.keys(sequence), key_tile,
                      [&](index_t k_begin, index_t k_end, tile_class kind) {
                          const tile_place tile{q_begin, q_begin + count, k_begin, k_end};
                          score_tile(problem, mask, tile, kind, queries, keys.panel(sequence, kv_head, k_begin), scores);
                          state.absorb(scores, count, tile.padded_columns(), width);
                          multiply(count, width, tile.columns(), {scores, key_tile, 1},
                                   values.row(sequence, kv_head, k_begin), width, state.output, width, true);
                      });

    for (index_t row = 0; row < count; ++row) {
        const float inverse = state.sum[row] > 0.0F ? 1.0F / state.sum[row] : 0.0F;
        unpack_rows(state.output + row * width, width, inverse, problem.output, sequence, head, rows.begin + row, 1);
        if (!problem.log_sum_exp.empty()) {
            problem.log_sum_exp(sequence, head, rows.begin + row) =
                state.sum[row] > 0.0F ? (state.largest[row] + std::log2(state.sum[row])) * ln_2 : minus_infinity;
        }
    }
}

template <class T, mask_policy Mask, sink_policy Sink>
void attention_forward(const cpu_executor& exec, const attention_problem<T>& problem, const Mask& mask,
                       const Sink& sink) {
    const index_t width = problem.width();
    const packed_panels<T> keys(exec, problem.key);
    const packed_rows<T> values(exec, problem.value, width);

    const index_t scratch_size = query_tile * (2 * width + key_tile);
    const float_buffer scratch(exec.workers() * scratch_size);
    const index_t tiles = tiles_of(problem.query_length, query_tile);
    exec.parallel_for(problem.batch * problem.heads * tiles, [&](index_t task, int worker) {
        const index_t sequence = task / tiles / problem.heads;
        const index_t head = task / tiles % problem.heads;
        const index_t first = task % tiles * query_tile;
        const index_t last = std::min(first + query_tile, problem.query_length);
        const index_t cut = std::clamp(problem.queries(sequence), first, last);
        if (first < cut) {
            forward_tile(problem, mask, sink, sequence, head, {first, cut}, keys, values,
                         scratch.data() + worker * scratch_size);
        }
        clear_rows(problem.output, sequence, head, {cut, last});
        for (index_t row = cut; row < last && !problem.log_sum_exp.empty(); ++row) {
            problem.log_sum_exp(sequence, head, row) = minus_infinity;
        }
    });
}

} // namespace detail
UNMASK_NAMESPACE_END
