// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/cpu/attention/backward_block.hpp>
#include <unmask/cpu/attention/backward_rows.hpp>
#include <unmask/cpu/attention/gradient_sums.hpp>
#include <unmask/cpu/attention/problem.hpp>
#include <unmask/cpu/scratch.hpp>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/sink/sink_policy.hpp>

// Backward: five products, each probability computed once. The score matrix of a kv head is cut into blocks of query
// rows × keys. In round r, query block i meets key block (i + r) mod n: no two blocks of a round share queries or keys,
// so all of them may add to the gradients at the same time, and every sum has one order, whatever the number of
// threads. Where there is one block of queries, several rounds go at the same time, and their parts of dQ are added
// afterwards.

UNMASK_NAMESPACE_BEGIN
namespace detail {

// Floats that gradients of 16-bit tensors may be summed in at a time: 32 MiB.
inline constexpr index_t gradient_budget = index_t{1} << 23;

struct backward_task {
    index_t sequence;
    index_t kv_head;
    range queries;
    range keys;
};

// Adds the blocks of one round, each cut down to the keys that its queries see; empty ones are left out.
template <class T, mask_policy Mask>
inline void add_round(const attention_problem<T>& problem, const Mask& mask, const backward_cut& cut,
                      kv_head_range units, index_t round, std::vector<backward_task>& tasks) {
    for (index_t unit = units.first; unit < units.last; ++unit) {
        const index_t sequence = unit / problem.kv_heads;
        const index_t query_blocks = tiles_of(problem.queries(sequence), cut.queries);
        const index_t rounds = std::max(query_blocks, tiles_of(problem.keys(sequence), cut.keys));
        for (index_t i = 0; i < query_blocks && round < rounds; ++i) {
            const index_t j = (i + round) % rounds;
            const range queries = clip({i * cut.queries, (i + 1) * cut.queries}, problem.queries(sequence));
            const range keys = clip({j * cut.keys, (j + 1) * cut.keys}, problem.keys(sequence));
            const auto seen = mask.key_ranges(problem.query_offset + queries.begin, problem.query_offset + queries.end,
                                              problem.keys(sequence));
            if (const auto inside = intersection(seen, ranges<1>(keys)); inside.count > 0) {
                const range needed{inside[0].begin, inside[inside.count - 1].end};
                tasks.push_back({sequence, unit % problem.kv_heads, queries, needed});
            }
        }
    }
}

// `adds`: to the gradients of query, key and value that are there, of floats, instead of replacing them.
template <class Executor, class T, class Gradient, mask_policy Mask, sink_policy Sink>
void backward_on_host(const Executor& exec, const attention_call<T>& call,
                      const attention_call_gradients<T, Gradient>& gradients, const Mask& mask, const Sink& sink,
                      bool adds = false) {
    const attention_problem<T> problem(call);
    const index_t width = problem.width();
    const index_t group = problem.group();
    const backward_cut cut(problem);
    const backward_rows<T, Sink> rows(problem);
    using block_type = backward_block<T, Gradient, Mask>;
    const worker_spaces<typename block_type::space_type> spaces(exec.workers(), cut.keys, problem.head_dim, width);
    const index_t rounds =
        std::max(tiles_of(problem.query_length, cut.queries), tiles_of(problem.key_length, cut.keys));
    const index_t all = problem.batch * problem.kv_heads;
    const index_t at_once = gradient_sums<Gradient>::units_within(gradient_budget, gradients, group);
    for (index_t first = 0; first < all; first += at_once) {
        const kv_head_range units{first, std::min(first + at_once, all)};
        const gradient_sums<Gradient> sums(gradients, group, units);
        exec.parallel_for(rows.tasks(units) + (adds ? 0 : units.size()), [&](index_t task, int) {
            if (task < rows.tasks(units)) {
                rows.run(task, gradients, sink, sums.query, units, adds);
            } else {
                const index_t unit = units.first + task - rows.tasks(units);
                sums.key.clear(unit / problem.kv_heads, unit % problem.kv_heads);
                sums.value.clear(unit / problem.kv_heads, unit % problem.kv_heads);
            }
        });
        const bool one_block = problem.query_length <= cut.queries;
        const index_t rounds_at_once =
            one_block ? std::clamp<index_t>(backward_cut::wanted / units.size(), 1, std::max<index_t>(rounds, 1)) : 1;
        const bool parts = rounds_at_once > 1 && sums.query.wanted();
        std::vector<backward_task> tasks;
        for (index_t round = 0; round < rounds; round += rounds_at_once) {
            tasks.clear();
            for (index_t i = round; i < std::min(round + rounds_at_once, rounds); ++i) {
                add_round(problem, mask, cut, units, i, tasks);
            }
            const auto count = static_cast<index_t>(tasks.size());
            const index_t part_size = parts ? group * problem.query_length * width : 0;
            const float_buffer d_query_parts(count * part_size);
            exec.parallel_for(count, [&](index_t i, int worker) {
                const backward_task& task = tasks[static_cast<std::size_t>(i)];
                const auto space = spaces.of(worker, cut.keys, problem.head_dim, width);
                const block_type block(problem, gradients.output, mask, sums, space, task.sequence, task.kv_head,
                                       task.keys, parts ? d_query_parts.data() + i * part_size : nullptr);
                for (index_t head = task.kv_head * group; head < (task.kv_head + 1) * group; ++head) {
                    block.add_rows(head, task.queries, rows.delta(task.sequence, head, task.queries.begin));
                }
                block.write_keys();
            });
            for (index_t i = 0; parts && i < count; ++i) {
                const backward_task& task = tasks[static_cast<std::size_t>(i)];
                const index_t queries = problem.queries(task.sequence);
                for (index_t h = 0; h < group; ++h) {
                    sums.query.add(task.sequence, task.kv_head * group + h, 0, queries, problem.scale,
                                   d_query_parts.data() + i * part_size + h * queries * width, width);
                }
            }
        }
        if constexpr (!gradient_sum<Gradient>::in_place) {
            exec.parallel_for(units.size(), [&](index_t i, int) {
                const index_t sequence = (units.first + i) / problem.kv_heads;
                const index_t kv_head = (units.first + i) % problem.kv_heads;
                sums.key.write(sequence, kv_head);
                sums.value.write(sequence, kv_head);
                for (index_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
                    sums.query.write(sequence, head);
                }
            });
        }
    }
    rows.write_sink(gradients);
}

} // namespace detail
UNMASK_NAMESPACE_END
