// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>

#include <unmask/config.hpp>
#include <unmask/cpu/attention/pack.hpp>
#include <unmask/cpu/attention/problem.hpp>
#include <unmask/cpu/attention/query_strip.hpp>
#include <unmask/cpu/attention/score_strip.hpp>
#include <unmask/cpu/scratch.hpp>
#include <unmask/cpu/simd.hpp>
#include <unmask/mask/tiles.hpp>

// What every key receives, cⱼ = Σᵢ exp(sᵢⱼ − LSEᵢ). A task has some keys of one head, and goes through all queries that
// see them in order.

UNMASK_NAMESPACE_BEGIN
namespace detail {

inline constexpr int received_lanes = lanes == 16 ? 2 * lanes : 6 * lanes;
inline constexpr index_t received_block = 4 * key_tile; // keys of a task, at most

struct received_space {
    float* key_rows; // [received_block][width]
    strip_operand<received_lanes> queries;
    float* log_sum_exp; // [lanes], base 2
    float* scores;      // [key_tile][lanes]
    float* sums;        // [received_block] registers, one a key

    received_space(arena& pieces, index_t width)
        : key_rows(pieces.take(received_block * width)), queries(pieces, width),
          log_sum_exp(pieces.take(received_lanes)), scores(pieces.take(key_tile * received_lanes)),
          sums(pieces.take(received_block * lanes)) {}
};

template <class T, mask_policy Mask>
inline void received_block_of(const attention_problem<T>& problem, const Mask& mask, const received_space& space,
                              index_t sequence, index_t head, range block, float* received) {
    const index_t width = problem.width();
    const grouped_rows rows(problem, sequence, head, 1);
    pack_rows(problem.key, sequence, head / problem.group(), block.begin, block.end - block.begin, 1.0F, space.key_rows,
              width);
    std::fill_n(space.sums, (block.end - block.begin) * lanes, 0.0F);

    const auto add_span = [&](const query_strip<received_lanes>& strip, range keys) {
        const tile_class kind = mask.classify(strip.hull.begin, strip.hull.end, keys.begin, keys.end);
        if (kind == tile_class::empty) {
            return;
        }
        score_strip<float_products>(problem, mask, strip, keys, kind,
                                    space.key_rows + (keys.begin - block.begin) * width, width, space.queries.panel,
                                    space.scores);
        const float* score = space.scores;
        float* sum = space.sums + (keys.begin - block.begin) * lanes;
        for (index_t k = keys.begin; k < keys.end; ++k, score += received_lanes, sum += lanes) {
            vfloat total = load(sum);
            for (int v = 0; v < strip.vectors(); ++v) {
                total += exp2(load(score + v * lanes) - load(space.log_sum_exp + v * lanes));
            }
            store(sum, total);
        }
    };
    const auto add_strip = [&](index_t first, index_t last) {
        const query_strip<received_lanes> strip(rows, first, last);
        space.queries.pack(problem.query, sequence, head, {first, last}, problem.score_factor(), width);
        problem.base_2_sums(sequence, head, {first, last}, received_lanes, space.log_sum_exp);
        for (const range& seen : mask.key_ranges(strip.hull.begin, strip.hull.end, block.end)) {
            const range inside = intersect(seen, block);
            for (index_t k = inside.begin; k < inside.end; k += key_tile) {
                add_span(strip, {k, std::min(k + key_tile, inside.end)});
            }
        }
    };
    const index_t end = rows.offset + rows.queries;
    for_each_aligned_tile(query_ranges_of(mask, block.begin, block.end, end), rows.offset, end, received_lanes,
                          [&](index_t first, index_t last) {
                              for_each_strip<received_lanes>(mask, rows, first - rows.offset, last - rows.offset,
                                                             problem.keys(sequence), add_strip);
                          });
    for (index_t k = 0; k < block.end - block.begin; ++k) {
        received[k] = sum_of_lanes(load(space.sums + k * lanes));
    }
}

template <class Executor, class T, mask_policy Mask>
void received_on_host(const Executor& exec, const attention_call<T>& call, tensor_view<float, 3> received,
                      const Mask& mask) {
    const attention_problem<T> problem(call);
    const index_t width = problem.width();
    const worker_spaces<received_space> spaces(exec.workers(), width);
    const index_t blocks = tiles_of(problem.key_length, received_block);
    exec.parallel_for(problem.batch * problem.heads * blocks, [&](index_t task, int worker) {
        const index_t sequence = task / blocks / problem.heads;
        const index_t head = task / blocks % problem.heads;
        const index_t first = task % blocks * received_block;
        const index_t last = std::min(first + received_block, problem.key_length);
        const index_t cut = std::clamp(problem.keys(sequence), first, last);
        if (first < cut) {
            received_block_of(problem, mask, spaces.of(worker, width), sequence, head, {first, cut},
                              received.pointer(sequence, head, first));
        }
        std::fill_n(received.pointer(sequence, head, cut), last - cut, 0.0F);
    });
}

} // namespace detail
UNMASK_NAMESPACE_END
