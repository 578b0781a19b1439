// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>

#include <unmask/config.hpp>
#include <unmask/cpu/attention_problem.hpp>
#include <unmask/cpu/simd.hpp>
#include <unmask/cpu/tile_product.hpp>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/sink/sink_policy.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// A tile's place in the score matrix, in absolute positions.
struct tile_place {
    index_t q_begin;
    index_t q_end;
    index_t k_begin;
    index_t k_end;

    [[nodiscard]] index_t rows() const { return q_end - q_begin; }
    [[nodiscard]] index_t columns() const { return k_end - k_begin; }
    // Columns rounded up to whole registers. Those past columns() hold −∞.
    [[nodiscard]] index_t padded_columns() const { return (columns() + lanes - 1) / lanes * lanes; }
};

// score → log2(e) · soft_cap · tanh(score / soft_cap), for one row.
inline void cap_scores(float* scores, index_t columns, float soft_cap) {
    for (index_t c = 0; c < columns; c += lanes) {
        store(scores + c, tanh(load(scores + c) * (1.0F / soft_cap)) * (soft_cap * log2_e));
    }
}

// −∞ where the mask hides the key.
template <mask_policy Mask>
inline void hide_scores(const Mask& mask, const tile_place& tile, float* scores) {
    for (index_t q = tile.q_begin; q < tile.q_end; ++q, scores += key_tile) {
        if constexpr (row_mask_policy<Mask>) {
            index_t next = tile.k_begin;
            for (const range& seen : mask.row(q, tile.k_end)) {
                if (seen.end <= next) {
                    continue;
                }
                std::fill(scores + (next - tile.k_begin), scores + (std::max(seen.begin, next) - tile.k_begin),
                          minus_infinity);
                next = seen.end;
            }
            std::fill(scores + (next - tile.k_begin), scores + tile.columns(), minus_infinity);
        } else {
            for (index_t k = tile.k_begin; k < tile.k_end; ++k) {
                if (!mask.visible(q, k)) {
                    scores[k - tile.k_begin] = minus_infinity;
                }
            }
        }
    }
}

// The scores of a tile, times log2(e): rows of key_tile floats, hidden and padding columns −∞. queries are packed rows
// with the query factor in them, keys one transposed panel.
template <class T, mask_policy Mask>
inline void score_tile(const attention_problem<T>& problem, const Mask& mask, const tile_place& tile, tile_class kind,
                       const float* queries, const float* keys, float* scores) {
    multiply(tile.rows(), tile.padded_columns(), problem.head_dim, {queries, problem.width(), 1}, keys, key_tile, scores,
             key_tile, false);
    for (index_t row = 0; row < tile.rows(); ++row) {
        float* at = scores + row * key_tile;
        if (problem.soft_cap > 0.0F) {
            cap_scores(at, tile.padded_columns(), problem.soft_cap);
        }
        std::fill(at + tile.columns(), at + tile.padded_columns(), minus_infinity);
    }
    if (kind == tile_class::partial) {
        hide_scores(mask, tile, scores);
    }
}

// The sink's logit for one packed query row, times log2(e).
template <class T, sink_policy Sink>
inline float sink_score(const attention_problem<T>& problem, const Sink& sink, index_t head, const float* query) {
    if constexpr (Sink::has_key) {
        float score = dot(query, sink.key(head / problem.group()), problem.head_dim);
        if (problem.soft_cap > 0.0F) {
            float one[lanes] = {score};
            cap_scores(one, lanes, problem.soft_cap);
            score = one[0];
        }
        return score;
    } else {
        return sink.logit(head) * log2_e;
    }
}

} // namespace detail
UNMASK_NAMESPACE_END
