// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/cuda/rows/warp_chunk.cuh>
#include <unmask/cuda/runtime/device.cuh>
#include <unmask/numeric/detail/row_sums.hpp>
#include <unmask/numeric/detail/weights.hpp>
#include <unmask/numeric/exact_math.hpp>
#include <unmask/numeric/row_statistics.hpp>

// The end of a row, once its chunks are joined: draws its token from the chosen chunk and computes its statistics.

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

// A copy of a row in shared memory, without the padding.
UNMASK_DEVICE row_state copy_of(const row_state& row) {
    return {{row.part.highest, row.part.second, row.part.best, row.part.raw, row.part.shaped},
            {row.choice.uniform, row.choice.first, row.choice.highest},
            row.bad};
}

// The result of a row, and the log-probability of its token by the model's own probabilities.
struct row_outcome {
    row_result result; // raw.best is −1 if a logit is NaN or +∞ or all are −∞
    double raw_log_probability;

    // Takes the statistics before the filter, for a row that was drawn from after it. `logit` is the token's.
    UNMASK_DEVICE void take_raw(const row_state& row, float logit) {
        result.raw = raw_statistics(copy_of(row));
        raw_log_probability = log_probability_of(logit, row.part.highest, result.raw.log_sum);
    }
};

inline constexpr int row_warps = 2; // warps in a block, which works on one row
inline constexpr int row_threads = row_warps * device::warp_size;

// Sums the weights of a row's chosen chunk in a binary tree. logit(token) returns the logit of a token, counted from
// the chunk's first, and −∞ past the end. Called by all threads of a block.
template <class LogitOf>
UNMASK_DEVICE void grow_tree(float (&tree)[2 * chunk_size], const part_choice& choice, const weight_rule& rule,
                             const LogitOf& logit) {
    constexpr int leaves = static_cast<int>(chunk_size);
    const warp_weights weights;
    const auto first = static_cast<int>(choice.first);
    UNMASK_NO_UNROLL
    for (int leaf = device::thread(); leaf < leaves; leaf += row_threads) {
        tree[leaves + leaf] = weights(rule.distance(logit(first + leaf), choice.highest), rule);
    }
    device::barrier();
    for (int level = leaves / 2; level > 0; level /= 2) {
        for (int i = device::thread(); i < level; i += row_threads) {
            const float* children = tree + 2 * (level + i);
            tree[level + i] = rounded(children[0] + children[1]);
        }
        device::barrier();
    }
}

// The outcome of a row. The tree is read only if a token is drawn. Called by one thread.
template <row_reading Reading, class LogitOf>
UNMASK_DEVICE row_outcome outcome_of(const row_state& row, const row_rule& rule, const float (&tree)[2 * chunk_size],
                                     const LogitOf& logit) {
    row_outcome outcome{{raw_statistics(row), {}}, 0};
    const row_statistics& raw = outcome.result.raw;
    if (raw.best >= 0) {
        token_t token = raw.best;
        float token_logit = row.part.highest;
        if constexpr (Reading != row_reading::statistics) {
            token = static_cast<token_t>(row.choice.first + drawn_leaf(tree, chunk_size, row.choice.uniform));
            token_logit = logit(token);
        }
        outcome.result.draw = rule.draw_of(raw, row.part, token, token_logit);
        outcome.raw_log_probability = log_probability_of(token_logit, row.part.highest, raw.log_sum);
    }
    return outcome;
}

} // namespace detail::cuda
UNMASK_NAMESPACE_END
