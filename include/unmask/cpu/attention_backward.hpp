// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>

#include <unmask/config.hpp>
#include <unmask/cpu/attention_problem.hpp>
#include <unmask/cpu/executor.hpp>
#include <unmask/cpu/packed.hpp>
#include <unmask/cpu/score_tile.hpp>
#include <unmask/mask/tiles.hpp>

// The backward pass, in two sweeps that each recompute the probabilities: one over query tiles for dQ and the sink, one
// over key tiles for dK and dV. Seven products instead of five, but no task writes what another writes, so sums have one
// order whatever the number of threads.

UNMASK_NAMESPACE_BEGIN
namespace detail {

// What the backward sweeps need of each query row besides the tensors: [batch, heads, query_length].
class row_terms {
public:
    template <class T>
    explicit row_terms(const attention_problem<T>& problem)
        : heads_(problem.heads), length_(problem.query_length), delta_(problem.batch * heads_ * length_) {}

    // Σ output · output gradient of a row.
    [[nodiscard]] float* delta(index_t sequence, index_t head, index_t row) const {
        return delta_.data() + (sequence * heads_ + head) * length_ + row;
    }

private:
    index_t heads_;
    index_t length_;
    float_buffer delta_;
};

// Scores and dP become probabilities and dS, in place: P = exp2(S − LSE), dS = P · (dP − Δ), times the derivative of
// the soft cap. Padding and hidden columns come out 0 in both.
template <class T>
inline void score_gradients(const attention_problem<T>& problem, index_t sequence, index_t head, range rows,
                            index_t columns, const float* delta, float* scores, float* dp) {
    const float cap = problem.soft_cap > 0.0F ? 1.0F / (problem.soft_cap * log2_e) : 0.0F;
    for (index_t row = rows.begin; row < rows.end; ++row, scores += key_tile, dp += key_tile, ++delta) {
        const vfloat sum = broadcast(problem.base_2_sum(sequence, head, row));
        const vfloat mean = broadcast(*delta);
        for (index_t c = 0; c < columns; c += lanes) {
            const vfloat score = load(scores + c);
            const vfloat probability = exp2(score - sum);
            vfloat ds = probability * (load(dp + c) - mean);
            if (cap > 0.0F) {
                const vfloat tanh = score * cap;
                ds = select(probability > 0.0F, ds * (1.0F - tanh * tanh), vfloat{});
            }
            store(scores + c, probability);
            store(dp + c, ds);
        }
    }
}

// The sink's share of one query tile: adds to dQ (in packed units) and to the tile's own sums dz, dk, du.
template <class T, sink_policy Sink>
inline void sink_gradients(const attention_problem<T>& problem, const Sink& sink, index_t sequence, index_t head,
                           range rows, const float* queries, const float* d_output, const float* delta, float* d_query,
                           float* sums) {
    const index_t width = problem.width();
    const index_t head_dim = problem.head_dim;
    const index_t kv_head = head / problem.group();
    float* const dk = sums + 1;
    float* const du = dk + width;
    std::fill_n(sums, 1 + 2 * width, 0.0F);
    for (index_t row = rows.begin; row < rows.end; ++row, queries += width, d_output += width, d_query += width) {
        const float score = sink_score(problem, sink, head, queries);
        const float probability = exp2(broadcast(score - problem.base_2_sum(sequence, head, row)))[0];
        float dz = -*delta++;
        if constexpr (Sink::has_value) {
            dz += dot(sink.value(kv_head), d_output, head_dim); // exactly 0 where the output is the sink's value
            for (index_t d = 0; d < head_dim; ++d) {
                du[d] += probability * d_output[d];
            }
        }
        dz *= probability;
        if constexpr (Sink::has_key) {
            if (problem.soft_cap > 0.0F) {
                const float tanh = score / (problem.soft_cap * log2_e);
                dz *= 1.0F - tanh * tanh;
            }
            const float* key = sink.key(kv_head);
            for (index_t d = 0; d < head_dim; ++d) {
                d_query[d] += dz * key[d];
                dk[d] += dz * queries[d];
            }
        }
        sums[0] += dz;
    }
}

// The operands both sweeps share: packed keys and values, as rows and as panels.
template <class T>
struct backward_operands {
    packed_panels<T> key_panels;
    packed_rows<T> key_rows;
    packed_panels<T> value_panels;

    backward_operands(const cpu_executor& exec, const attention_problem<T>& problem)
        : key_panels(exec, problem.key), key_rows(exec, problem.key, problem.width()),
          value_panels(exec, problem.value) {}
};

// First sweep, one query tile of one head: Δ, dQ and the tile's share of the sink's gradients.
template <class T, mask_policy Mask, sink_policy Sink>
inline void backward_query_tile(const attention_problem<T>& problem, const gradient_views<T>& gradients,
                                const Mask& mask, const Sink& sink, index_t sequence, index_t head, range rows,
                                const backward_operands<T>& operands, const row_terms& terms, float* sink_sums,
                                float* scratch) {
    const index_t width = problem.width();
    const index_t kv_head = head / problem.group();
    const index_t count = rows.end - rows.begin;
    float* const queries = scratch;
    float* const d_output = queries + query_tile * width;
    float* const d_query = d_output + query_tile * width;
    float* const scores = d_query + query_tile * width;
    float* const dp = scores + query_tile * key_tile;
    float* const delta = terms.delta(sequence, head, rows.begin);

    pack_rows(problem.query, sequence, head, rows.begin, count, width, problem.query_factor(), queries);
    pack_rows(gradients.output, sequence, head, rows.begin, count, width, 1.0F, d_output);
    float* const output = d_query; // as long as dQ has not begun
    pack_rows(tensor_view<const T, 4>(problem.output), sequence, head, rows.begin, count, width, 1.0F, output);
    for (index_t row = 0; row < count; ++row) {
        delta[row] = dot(output + row * width, d_output + row * width, problem.head_dim);
    }
    std::fill_n(d_query, count * width, 0.0F);

    const index_t q_begin = problem.query_offset + rows.begin;
    for_each_key_tile(mask, q_begin, q_begin + count, problem.keys(sequence), key_tile,
                      [&](index_t k_begin, index_t k_end, tile_class kind) {
                          const tile_place tile{q_begin, q_begin + count, k_begin, k_end};
                          score_tile(problem, mask, tile, kind, queries,
                                     operands.key_panels.panel(sequence, kv_head, k_begin), scores);
                          multiply(count, tile.padded_columns(), problem.head_dim, {d_output, width, 1},
                                   operands.value_panels.panel(sequence, kv_head, k_begin), key_tile, dp, key_tile,
                                   false);
                          score_gradients(problem, sequence, head, rows, tile.padded_columns(), delta, scores, dp);
                          multiply(count, width, tile.columns(), {dp, key_tile, 1},
                                   operands.key_rows.row(sequence, kv_head, k_begin), width, d_query, width, true);
                      });
    if constexpr (Sink::present) {
        sink_gradients(problem, sink, sequence, head, rows, queries, d_output, delta, d_query, sink_sums);
    }
    if (!gradients.query.empty()) {
        unpack_rows(d_query, width, problem.scale, gradients.query, sequence, head, rows.begin, count);
    }
}

// Second sweep, one key tile of one kv head: dK and dV, over the heads of its group.
template <class T, mask_policy Mask>
inline void backward_key_tile(const attention_problem<T>& problem, const gradient_views<T>& gradients,
                              const Mask& mask, index_t sequence, index_t kv_head, range columns,
                              const backward_operands<T>& operands, const row_terms& terms, float* scratch) {
    const index_t width = problem.width();
    const index_t count = columns.end - columns.begin;
    const float* const keys = operands.key_panels.panel(sequence, kv_head, columns.begin);
    const float* const values = operands.value_panels.panel(sequence, kv_head, columns.begin);
    float* const queries = scratch;
    float* const d_output = queries + query_tile * width;
    float* const scores = d_output + query_tile * width;
    float* const dp = scores + query_tile * key_tile;
    float* const d_key = dp + query_tile * key_tile;
    float* const d_value = d_key + key_tile * width;
    std::fill_n(d_key, count * width, 0.0F);
    std::fill_n(d_value, count * width, 0.0F);

    const index_t offset = problem.query_offset;
    for (index_t head = kv_head * problem.group(); head < (kv_head + 1) * problem.group(); ++head) {
        for_each_query_tile(
            mask, columns.begin, columns.end, offset, offset + problem.queries(sequence), query_tile,
            [&](index_t q_begin, index_t q_end, tile_class kind) {
                const tile_place tile{q_begin, q_end, columns.begin, columns.end};
                const range rows{q_begin - offset, q_end - offset};
                pack_rows(problem.query, sequence, head, rows.begin, tile.rows(), width, problem.query_factor(),
                          queries);
                pack_rows(gradients.output, sequence, head, rows.begin, tile.rows(), width, 1.0F, d_output);
                score_tile(problem, mask, tile, kind, queries, keys, scores);
                multiply(tile.rows(), tile.padded_columns(), problem.head_dim, {d_output, width, 1}, values, key_tile,
                         dp, key_tile, false);
                score_gradients(problem, sequence, head, rows, tile.padded_columns(),
                                terms.delta(sequence, head, rows.begin), scores, dp);
                multiply(count, width, tile.rows(), {scores, 1, key_tile}, d_output, width, d_value, width, true);
                multiply(count, width, tile.rows(), {dp, 1, key_tile}, queries, width, d_key, width, true);
            });
    }
    if (!gradients.key.empty()) {
        unpack_rows(d_key, width, problem.scale / problem.query_factor(), gradients.key, sequence, kv_head,
                    columns.begin, count);
    }
    if (!gradients.value.empty()) {
        unpack_rows(d_value, width, 1.0F, gradients.value, sequence, kv_head, columns.begin, count);
    }
}

// Sums the query tiles' shares of the sink's gradients, in order: [batch, heads, tiles] of {dz, dk, du}.
template <class T, sink_policy Sink>
inline void reduce_sink_gradients(const attention_problem<T>& problem, const gradient_views<T>& gradients,
                                  const float* sums, index_t tiles) {
    const index_t width = problem.width();
    const index_t stride = 1 + 2 * width;
    const auto total = [&](index_t first_head, index_t last_head, index_t component) {
        double result = 0.0;
        for (index_t sequence = 0; sequence < problem.batch; ++sequence) {
            for (index_t tile = first_head * tiles; tile < last_head * tiles; ++tile) {
                result += static_cast<double>(sums[(sequence * problem.heads * tiles + tile) * stride + component]);
            }
        }
        return result;
    };
    if constexpr (!Sink::has_key) {
        for (index_t head = 0; head < problem.heads && !gradients.sink_logits.empty(); ++head) {
            gradients.sink_logits.data[head] = static_cast<float>(total(head, head + 1, 0));
        }
    }
    for (index_t kv_head = 0; kv_head < problem.kv_heads; ++kv_head) {
        const index_t first = kv_head * problem.group();
        const index_t last = first + problem.group();
        for (index_t d = 0; d < problem.head_dim; ++d) {
            if (Sink::has_key && !gradients.sink_keys.empty()) {
                gradients.sink_keys(kv_head, d) = static_cast<float>(
                    total(first, last, 1 + d) * static_cast<double>(problem.scale / problem.query_factor()));
            }
            if (Sink::has_value && !gradients.sink_values.empty()) {
                gradients.sink_values(kv_head, d) = static_cast<float>(total(first, last, 1 + width + d));
            }
        }
    }
}

template <class T, mask_policy Mask, sink_policy Sink>
void attention_backward(const cpu_executor& exec, const attention_problem<T>& problem,
                        const gradient_views<T>& gradients, const Mask& mask, const Sink& sink) {
    const index_t width = problem.width();
    const backward_operands<T> operands(exec, problem);
    const row_terms terms(problem);
    const index_t scratch_size = std::max(query_tile * (3 * width + 2 * key_tile),
                                          query_tile * (2 * width + 2 * key_tile) + 2 * key_tile * width);
    const float_buffer scratch(exec.workers() * scratch_size);

    const index_t query_tiles = tiles_of(problem.query_length, query_tile);
    const index_t query_tasks = problem.batch * problem.heads * query_tiles;
    const index_t sums_size = Sink::present ? 1 + 2 * width : 0;
    const float_buffer sink_sums(query_tasks * sums_size);
    exec.parallel_for(query_tasks, [&](index_t task, int worker) {
        const index_t sequence = task / query_tiles / problem.heads;
        const index_t head = task / query_tiles % problem.heads;
        const index_t first = task % query_tiles * query_tile;
        const index_t last = std::min(first + query_tile, problem.query_length);
        const index_t cut = std::clamp(problem.queries(sequence), first, last);
        float* const sums = sink_sums.data() + task * sums_size;
        if (first < cut) {
            backward_query_tile(problem, gradients, mask, sink, sequence, head, {first, cut}, operands, terms, sums,
                                scratch.data() + worker * scratch_size);
        } else {
            std::fill_n(sums, sums_size, 0.0F);
        }
        clear_rows(gradients.query, sequence, head, {cut, last});
    });
    if constexpr (Sink::present) {
        reduce_sink_gradients<T, Sink>(problem, gradients, sink_sums.data(), query_tiles);
    }

    const index_t key_tiles = tiles_of(problem.key_length, key_tile);
    exec.parallel_for(problem.batch * problem.kv_heads * key_tiles, [&](index_t task, int worker) {
        const index_t sequence = task / key_tiles / problem.kv_heads;
        const index_t kv_head = task / key_tiles % problem.kv_heads;
        const index_t first = task % key_tiles * key_tile;
        const index_t last = std::min(first + key_tile, problem.key_length);
        const index_t cut = std::clamp(problem.keys(sequence), first, last);
        if (first < cut) {
            backward_key_tile(problem, gradients, mask, sequence, kv_head, {first, cut}, operands, terms,
                              scratch.data() + worker * scratch_size);
        }
        clear_rows(gradients.key, sequence, kv_head, {cut, last});
        clear_rows(gradients.value, sequence, kv_head, {cut, last});
    });
}

} // namespace detail
UNMASK_NAMESPACE_END
