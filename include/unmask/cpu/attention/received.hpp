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

template <class Products>
struct received_space {
    using element = typename Products::element;

    index_t width;     // of a row of keys and queries
    element* key_rows; // [received_block][width]
    strip_operand<Products, received_lanes> queries;
    float* log_sum_exp; // [lanes]
    float* scores;      // [key_tile][lanes]
    float* sums;        // [received_block] registers, one a key

    received_space(arena& pieces, index_t head_dim)
        : width(score_width<Products>(head_dim)), key_rows(pieces.take<element>(received_block * width)),
          queries(pieces, width), log_sum_exp(pieces.take(received_lanes)),
          scores(pieces.take(key_tile * received_lanes)), sums(pieces.take(received_block * lanes)) {}
};

template <class Products, class T, mask_policy Mask>
inline void received_block_of(const attention_problem<T>& problem, const Mask& mask,
                              const received_space<Products>& space, index_t sequence, index_t head, range block,
                              float* received, bool adds) {
    const grouped_rows rows(problem, sequence, head, 1);
    for (index_t k = block.begin; k < block.end; ++k) {
        pack_for_score<Products>(problem.key.pointer(sequence, k, head / problem.group()), problem.head_dim, 1.0F,
                                 space.key_rows + (k - block.begin) * space.width, space.width);
    }
    std::fill_n(space.sums, (block.end - block.begin) * lanes, 0.0F);

    const auto add_span = [&](const query_strip<received_lanes>& strip, range keys) {
        const tile_class kind = mask.classify(strip.hull.begin, strip.hull.end, keys.begin, keys.end);
        if (kind == tile_class::empty) {
            return;
        }
        score_strip<Products>(problem, mask, strip, keys, kind,
                              space.key_rows + (keys.begin - block.begin) * space.width, space.width,
                              space.queries.panel, space.scores);
        strip.hide_idle(space.scores, keys.end - keys.begin);
        const float* score = space.scores;
        float* sum = space.sums + (keys.begin - block.begin) * lanes;
        for (index_t k = keys.begin; k < keys.end; ++k, score += received_lanes, sum += lanes) {
            vfloat total = load(sum);
            for (int v = 0; v < strip.vectors(); ++v) {
                total += weight_of(load(score + v * lanes), load(space.log_sum_exp + v * lanes));
            }
            store(sum, total);
        }
    };
    const auto add_strip = [&](index_t first, index_t last) {
        const query_strip<received_lanes> strip(rows, first, last);
        space.queries.fill({first, last}, space.width, [&](index_t query, auto* to) {
            pack_for_score<Products>(problem.query.pointer(sequence, query, head), problem.head_dim, problem.scale, to,
                                     space.width);
        });
        problem.log_sums(sequence, head, {first, last}, received_lanes, space.log_sum_exp);
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
        received[k] = (adds ? received[k] : 0.0F) + sum_of_lanes(load(space.sums + k * lanes));
    }
}

// `adds`: to the sums that are there, instead of replacing them.
template <class Executor, class T, mask_policy Mask>
void received_on_host(const Executor& exec, const attention_call<T>& call, tensor_view<float, 3> received,
                      const Mask& mask, bool adds = false) {
    const attention_problem<T> problem(call);
    using products = score_products<T>;
    const worker_spaces<received_space<products>> spaces(exec.workers(), problem.head_dim);
    const index_t blocks = tiles_of(problem.key_length, received_block);
    exec.parallel_for(problem.batch * problem.heads * blocks, [&](index_t task, int worker) {
        const index_t sequence = task / blocks / problem.heads;
        const index_t head = task / blocks % problem.heads;
        const index_t first = task % blocks * received_block;
        const index_t last = std::min(first + received_block, problem.key_length);
        const index_t cut = std::clamp(problem.keys(sequence), first, last);
        if (first < cut) {
            received_block_of(problem, mask, spaces.of(worker, problem.head_dim), sequence, head, {first, cut},
                              received.pointer(sequence, head, first), adds);
        }
        if (!adds) {
            std::fill_n(received.pointer(sequence, head, cut), last - cut, 0.0F);
        }
    });
}

} // namespace detail
UNMASK_NAMESPACE_END
