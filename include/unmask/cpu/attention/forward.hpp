// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <type_traits>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/cpu/attention/forward_block.hpp>
#include <unmask/cpu/attention/problem.hpp>
#include <unmask/cpu/attention/query_strip.hpp>
#include <unmask/cpu/attention/tile_product.hpp>
#include <unmask/cpu/scratch.hpp>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/sink/sink_policy.hpp>
#include <unmask/tensor/tensor_view.hpp>

// Forward: the rows of each kv head are cut into blocks, one a task. Where there are too few rows for all threads, a
// block's chunks of keys are tasks of their own, and are merged afterwards. Both ways compute the same, bit for bit.

UNMASK_NAMESPACE_BEGIN
namespace detail {

// How a call is cut into tasks.
struct forward_plan {
    std::vector<row_block> blocks; // the longest first, so that no thread is left with one at the end
    index_t strips = 1;            // of a block
    index_t chunks = 1;            // of keys, at most
    bool split = false;            // each chunk is a task

    template <class T, mask_policy Mask>
    forward_plan(const attention_problem<T>& problem, const Mask& mask, int workers) {
        index_t all_strips = 0;
        index_t most_strips = 1; // of a kv head
        for (index_t sequence = 0; sequence < problem.batch; ++sequence) {
            const index_t rows = problem.group() * problem.queries(sequence);
            all_strips += problem.kv_heads * tiles_of(rows, forward_lanes);
            most_strips = std::max(most_strips, tiles_of(rows, forward_lanes));
            chunks = std::max(chunks, tiles_of(problem.keys(sequence), key_chunk));
        }
        // A block packs each key once for all its strips: from 8 on that is cheap.
        strips = std::clamp<index_t>(all_strips / (4 * workers), 1, 64);
        const index_t enough = std::min<index_t>(8, most_strips);
        const index_t reserved = 2 * (all_strips + problem.batch * problem.kv_heads * (enough - 1)); // at most
        if (strips < 8 && chunks > 1 && reserved * chunks * forward_state::size(problem.width()) <= max_states) {
            split = true;
            strips = enough;
        }
        for (index_t sequence = 0; sequence < problem.batch; ++sequence) {
            for (index_t kv_head = 0; kv_head < problem.kv_heads; ++kv_head) {
                const grouped_rows rows(problem, sequence, kv_head * problem.group(), problem.group());
                for (index_t first = 0; first < rows.count; first += strips * forward_lanes) {
                    const index_t last = std::min(first + strips * forward_lanes, rows.count);
                    blocks.push_back(
                        {sequence, kv_head, first, last, strip_cost(mask, rows, first, last, problem.keys(sequence))});
                }
            }
        }
        std::stable_sort(blocks.begin(), blocks.end(),
                         [](const row_block& a, const row_block& b) { return a.cost > b.cost; });
    }

private:
    static constexpr index_t max_states = index_t{1} << 23; // floats: 32 MiB
};

// What rows past a sequence's length get.
template <class T>
inline void clear_idle_rows(const attention_problem<T>& problem, index_t sequence, index_t head) {
    for (index_t row = problem.queries(sequence); row < problem.query_length; ++row) {
        problem.for_output(sequence, row, head, [&](auto* to) {
            std::fill_n(to, problem.head_dim, std::remove_reference_t<decltype(*to)>(0.0F));
        });
        if (!problem.log_sum_exp.empty()) {
            problem.log_sum_exp(sequence, head, row) = minus_infinity;
        }
    }
}

// Writes to `unrounded` instead of the call's output, if that is given.
template <class Executor, class T, mask_policy Mask, sink_policy Sink>
void forward_on_host(const Executor& exec, const attention_call<T>& call, const Mask& mask, const Sink& sink,
                     const tensor_view<float, 4>& unrounded = {}) {
    const attention_problem<T> problem(call, unrounded);
    using products = score_products<T>;
    using block_type = forward_block<products, T, Mask, Sink>;
    if (problem.query_lengths != nullptr) {
        exec.parallel_for(problem.batch * problem.heads, [&](index_t task, int) {
            clear_idle_rows(problem, task / problem.heads, task % problem.heads);
        });
    }
    const forward_plan plan(problem, mask, exec.workers());
    const auto blocks = static_cast<index_t>(plan.blocks.size());
    const worker_spaces<forward_space<products>> spaces(exec.workers(), problem.head_dim, problem.width(), plan.strips);
    const auto block_of = [&](index_t task, int worker) {
        return block_type(problem, mask, sink, plan.blocks[static_cast<std::size_t>(task)],
                          spaces.of(worker, problem.head_dim, problem.width(), plan.strips));
    };
    if (!plan.split) {
        exec.parallel_for(blocks, [&](index_t task, int worker) {
            block_type block = block_of(task, worker);
            block.run();
            block.write_output();
        });
        return;
    }
    // [blocks, chunks] of the states of a block's strips
    const index_t states_size = forward_space<products>::states_size(problem.width(), plan.strips);
    const float_buffer states(blocks * plan.chunks * states_size);
    exec.parallel_for(blocks * plan.chunks, [&](index_t task, int worker) {
        block_type block = block_of(task / plan.chunks, worker);
        if (const index_t chunk = task % plan.chunks; chunk < block.chunks()) {
            block.run_chunk(chunk, states.data() + task * states_size);
        }
    });
    exec.parallel_for(blocks, [&](index_t task, int worker) {
        block_type block = block_of(task, worker);
        block.set(states.data() + task * plan.chunks * states_size);
        for (index_t chunk = 1; chunk < block.chunks(); ++chunk) {
            block.merge(states.data() + (task * plan.chunks + chunk) * states_size);
        }
        block.write_output();
    });
}

} // namespace detail
UNMASK_NAMESPACE_END
