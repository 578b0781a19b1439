// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>

#include <unmask/config.hpp>
#include <unmask/cpu/attention/gradient_sums.hpp>
#include <unmask/cpu/attention/pack.hpp>
#include <unmask/cpu/attention/problem.hpp>
#include <unmask/cpu/attention/sink_score.hpp>
#include <unmask/cpu/scratch.hpp>
#include <unmask/cpu/simd.hpp>
#include <unmask/sink/sink_policy.hpp>

// What backward has to do once a query row: Δ = Σ output · output gradient, and the sink's part.

UNMASK_NAMESPACE_BEGIN
namespace detail {

inline constexpr index_t sink_rows = 256; // rows whose sink gradients are summed by one task

template <class T, sink_policy Sink>
class backward_rows {
public:
    explicit backward_rows(const attention_problem<T>& problem)
        : problem_(problem), blocks_(tiles_of(problem.query_length, sink_rows)),
          delta_(problem.batch * problem.heads * problem.query_length),
          sums_(problem.batch * problem.heads * blocks_ * sums_size()) {}

    // Δ of the rows from this one on.
    [[nodiscard]] const float* delta(index_t sequence, index_t head, index_t row) const {
        return delta_.data() + (sequence * problem_.heads + head) * problem_.query_length + row;
    }

    // Tasks for some kv heads.
    [[nodiscard]] index_t tasks(kv_head_range units) const { return units.size() * problem_.group() * blocks_; }

    // One task: Δ of some rows, dQ as far as it comes from the sink, added to what is there or to 0, and their share of
    // the sink's own gradients.
    template <class Gradient>
    void run(index_t task, const attention_call_gradients<T, Gradient>& gradients, const Sink& sink,
             const gradient_sum<Gradient>& d_query, kv_head_range units, bool adds) const {
        const index_t at = units.first * problem_.group() + task / blocks_;
        const index_t sequence = at / problem_.heads;
        const index_t head = at % problem_.heads;
        const index_t first = task % blocks_ * sink_rows;
        const index_t last = std::min(first + sink_rows, problem_.query_length);
        const index_t cut = std::clamp(problem_.queries(sequence), first, last);
        float* const sums = sums_.data() + (at * blocks_ + task % blocks_) * sums_size();
        std::fill_n(sums, sums_size(), 0.0F);
        const float_buffer packed(Sink::present ? 2 * problem_.width() : 0);
        for (index_t row = first; row < last; ++row) {
            if (d_query.wanted() && !adds) {
                std::fill_n(d_query.row(sequence, head, row), problem_.head_dim, 0.0F);
            }
            if (row < cut) {
                float& delta = delta_.data()[at * problem_.query_length + row];
                delta = row_dot(static_cast<const T*>(problem_.output.pointer(sequence, row, head)),
                                gradients.output.pointer(sequence, row, head), problem_.head_dim);
                if constexpr (Sink::present) {
                    add_sink(sink, gradients, sequence, head, row, delta, d_query, packed.data(), sums);
                }
            }
        }
    }

    // Sums the blocks' shares of the sink's gradients, in order.
    template <class Gradient>
    void write_sink(const attention_call_gradients<T, Gradient>& gradients) const {
        const index_t width = problem_.width();
        const auto total = [&](index_t first_head, index_t last_head, index_t component) {
            double result = 0.0;
            for (index_t sequence = 0; sequence < problem_.batch; ++sequence) {
                for (index_t block = first_head * blocks_; block < last_head * blocks_; ++block) {
                    const index_t at = (sequence * problem_.heads * blocks_ + block) * sums_size();
                    result += static_cast<double>(sums_.data()[at + component]);
                }
            }
            return result;
        };
        if constexpr (Sink::present && !Sink::has_key) {
            for (index_t head = 0; head < problem_.heads && !gradients.sink_logits.empty(); ++head) {
                gradients.sink_logits.data[head] = static_cast<float>(total(head, head + 1, 0));
            }
        }
        for (index_t kv_head = 0; kv_head < problem_.kv_heads; ++kv_head) {
            const index_t first = kv_head * problem_.group();
            const index_t last = first + problem_.group();
            for (index_t d = 0; d < problem_.head_dim; ++d) {
                if (Sink::has_key && !gradients.sink_keys.empty()) {
                    gradients.sink_keys(kv_head, d) = static_cast<float>(total(first, last, 1 + d));
                }
                if (Sink::has_value && !gradients.sink_values.empty()) {
                    gradients.sink_values(kv_head, d) = static_cast<float>(total(first, last, 1 + width + d));
                }
            }
        }
    }

private:
    // dz, dk, du of a block of rows.
    [[nodiscard]] index_t sums_size() const { return Sink::present ? 1 + 2 * problem_.width() : 0; }

    // The sink's share of one row: what its key adds to dQ, and the row's share of dz, dk (of packed queries) and du.
    template <class Gradient>
    void add_sink(const Sink& sink, const attention_call_gradients<T, Gradient>& gradients, index_t sequence,
                  index_t head, index_t row, float delta, const gradient_sum<Gradient>& d_query, float* packed,
                  float* sums) const {
        const index_t width = problem_.width();
        const index_t head_dim = problem_.head_dim;
        const index_t kv_head = head / problem_.group();
        float* const query = packed;
        float* const d_output = packed + width;
        pack_row(problem_.query.pointer(sequence, row, head), head_dim, problem_.scale, query, width);
        pack_row(gradients.output.pointer(sequence, row, head), head_dim, 1.0F, d_output, width);

        const float score = sink_score(problem_, sink, head, query);
        if (is_minus_infinity(score)) {
            return;
        }
        const float probability = exp(broadcast(score - problem_.log_sum_exp(sequence, head, row)))[0];
        float dz = -delta;
        if constexpr (Sink::has_value) {
            dz += row_dot(sink.value(kv_head), d_output, head_dim); // exactly 0 where the output is the sink's value
            for (index_t d = 0; d < head_dim; ++d) {
                sums[1 + width + d] = multiply_add(probability, d_output[d], sums[1 + width + d]);
            }
        }
        dz *= probability;
        if constexpr (Sink::has_key) {
            if (problem_.soft_cap > 0.0F) {
                const float tanh = score / problem_.soft_cap;
                dz *= 1.0F - tanh * tanh;
            }
            for (index_t d = 0; d < head_dim; ++d) {
                sums[1 + d] = multiply_add(dz, query[d], sums[1 + d]);
            }
            if (d_query.wanted()) {
                float* const to = d_query.row(sequence, head, row);
                for (index_t d = 0; d < head_dim; ++d) {
                    to[d] += dz * problem_.scale * sink.key(kv_head)[d];
                }
            }
        }
        sums[0] += dz;
    }

    const attention_problem<T>& problem_;
    index_t blocks_;
    float_buffer delta_; // [batch, heads, query_length]
    float_buffer sums_;  // [batch, heads, blocks]
};

} // namespace detail
UNMASK_NAMESPACE_END
