// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <vector>

#include "problem.hpp"

// How far results may be from the truth, element by element: the rounding errors of every step, worst case, carried
// through all products. In the order of the computation, with u the unit roundoff of float, D the head dimension,
// n the keys of a row and m the rows of a key:
//
//   s = scale · q · k           |δs| ≤ (D + 4) u scale Σ|q||k|, and 8 u cap more if it is capped
//   lse = log Σ exp(s)          |δlse| ≤ max |δs| + (n + 8) u + 2 u |lse|; it is stored
//   P = exp(s − lse)            relative δP ≤ |δs| + |δlse| + (8 + 4 |s − lse|) u; below 2⁻¹²⁴ it may be 0
//   O = P · V, stored as T      |δO| ≤ Σ (δP + n u + e) P |V| + e |O|; e is T's roundoff, also of P on matrix units
//   Δ = dO · O                  |δΔ| ≤ Σ |dO| |δO| + D u Σ |dO||O|
//   dP = dO · V                 |δdP| ≤ D u Σ |dO||V|
//   dS = P (dP − Δ) slope       |δdS| ≤ P (|δdP| + |δΔ| + (δP + 8 u) |dP − Δ|)
//   dQ = scale · dS · K         |δdQ| ≤ scale Σ (|δdS| + (n + 4) u |dS|) |k| + e |dQ|; dK and dV likewise, with m;
//                               where factors are rounded, e P or e |dS| more, and half the smallest number of T

namespace test {

// The spacing of a type's numbers just above 1.
template <class T>
inline constexpr double unit_of = std::same_as<T, float>      ? 0x1p-23
                                  : std::same_as<T, bfloat16> ? 0x1p-7
                                                              : 0x1p-10;

// Half of its smallest number.
template <class T>
inline constexpr double half_of_smallest = std::same_as<T, float16> ? 0x1p-25 : 1e-37;

struct error_bounds {
    std::vector<double> output, log_sum_exp, received, d_query, d_key, d_value, d_logits, d_keys, d_values;

    // `truth` is solved, `T` the type that the gradients are computed from and stored as. `rounds_factors`: and that
    // probabilities and the gradients of scores are rounded to, before they are multiplied.
    template <class T, class Mask, class Sink>
    error_bounds(const problem<double>& truth, T /*type*/, const Mask& mask, const Sink& sink,
                 const attention_options& options, bool rounds_factors = false)
        : output(truth.output.size()), log_sum_exp(truth.log_sum_exp.size()), received(truth.received.size()),
          d_query(truth.query.size()), d_key(truth.key.size()), d_value(truth.value.size()),
          d_logits(truth.sink_logits.size()), d_keys(truth.sink_keys.size()), d_values(truth.sink_values.size()) {
        const shape& size = truth.size;
        for (index_t b = 0; b < size.batch; ++b) {
            const index_t queries =
                options.query_lengths.empty() ? size.query_length : options.query_lengths[static_cast<std::size_t>(b)];
            const index_t keys =
                options.key_lengths.empty() ? size.key_length : options.key_lengths[static_cast<std::size_t>(b)];
            for (index_t head = 0; head < size.heads; ++head) {
                for (index_t row = 0; row < queries; ++row) {
                    add_row<T>(truth, mask, sink, options, b, head, row, keys, rounds_factors);
                }
            }
        }
        const double last = 0.5 * unit_of<T>;
        const auto round = [last](std::vector<double>& bounds, const std::vector<double>& values, double unit) {
            for (std::size_t i = 0; i < bounds.size(); ++i) {
                bounds[i] += unit * std::fabs(values[i]) + (unit == last ? half_of_smallest<T> : 1e-37);
            }
        };
        round(output, truth.output, last);
        round(log_sum_exp, truth.log_sum_exp, u);
        round(received, truth.received, u);
        round(d_query, truth.d_query, last);
        round(d_key, truth.d_key, last);
        round(d_value, truth.d_value, last);
        round(d_logits, truth.d_logits, u);
        round(d_keys, truth.d_keys, u);
        round(d_values, truth.d_values, u);
    }

private:
    static constexpr double u = 0.5 * unit_of<float>;
    static constexpr double smallest = 0x1p-124; // probability that is more than 0

    // A key, or the sink, as one row sees it.
    struct seen_key {
        double score;
        double score_error;
        double slope;
        double dp = 0.0;
        double dp_error = 0.0;
        const double* key = nullptr; // of a sink null where it has none, as below
        const double* value = nullptr;
        double* received = nullptr; // bounds
        double* d_key = nullptr;
        double* d_value = nullptr;
        double* d_logit = nullptr;
    };

    template <class T, class Mask, class Sink>
    void add_row(const problem<double>& truth, const Mask& mask, const Sink& sink, const attention_options& options,
                 index_t b, index_t head, index_t row, index_t keys, bool rounds_factors) {
        const shape& size = truth.size;
        const auto dim = static_cast<std::size_t>(size.head_dim);
        const index_t kv = head / (size.heads / size.kv_heads);
        const auto at_row = static_cast<std::size_t>((b * size.query_length + row) * size.heads + head);
        const double* query = truth.query.data() + at_row * dim;
        const double* d_output = truth.d_output.data() + at_row * dim;
        const double* exact = truth.output.data() + at_row * dim;
        const auto at_head = static_cast<std::size_t>((b * size.heads + head) * size.query_length + row);
        const double lse = truth.log_sum_exp[at_head];
        const double scale =
            options.scale ? static_cast<double>(*options.scale) : 1.0 / std::sqrt(static_cast<double>(size.head_dim));
        const double cap = options.soft_cap;
        const double width = static_cast<double>(size.head_dim);

        const auto with_score = [&](seen_key& seen, const auto* key) {
            double product = 0.0;
            double magnitude = 0.0;
            for (std::size_t d = 0; d < dim; ++d) {
                product += query[d] * static_cast<double>(key[d]);
                magnitude += std::fabs(query[d] * static_cast<double>(key[d]));
            }
            seen.score = scale * product;
            seen.score_error = (width + 4.0) * u * std::fabs(scale) * magnitude;
            seen.slope = 1.0;
            if (cap > 0.0) {
                const double tanh = std::tanh(seen.score / cap);
                seen.score = cap * tanh;
                seen.score_error += 8.0 * u * cap;
                seen.slope = 1.0 - tanh * tanh;
            }
        };
        std::vector<std::vector<double>> of_sink(2, std::vector<double>(dim));
        std::vector<seen_key> all;
        for (index_t k = 0; k < keys; ++k) {
            if (mask.visible(options.query_offset + row, options.key_offset + k)) {
                const auto at = static_cast<std::size_t>((b * size.key_length + k) * size.kv_heads + kv) * dim;
                seen_key seen{};
                with_score(seen, truth.key.data() + at);
                seen.key = truth.key.data() + at;
                seen.value = truth.value.data() + at;
                seen.received = received.data() + (b * size.heads + head) * size.key_length + k;
                seen.d_key = d_key.data() + at;
                seen.d_value = d_value.data() + at;
                all.push_back(seen);
            }
        }
        if constexpr (Sink::present) {
            seen_key seen{};
            seen.slope = 1.0;
            if constexpr (Sink::has_key) {
                with_score(seen, sink.key(kv));
                std::copy_n(sink.key(kv), dim, of_sink[0].begin());
                seen.key = of_sink[0].data();
                seen.d_key = d_keys.data() + static_cast<std::size_t>(kv) * dim;
            } else {
                seen.score = sink.logit(head);
                seen.d_logit = d_logits.data() + head;
            }
            if constexpr (Sink::has_value) {
                std::copy_n(sink.value(kv), dim, of_sink[1].begin());
                seen.value = of_sink[1].data();
                seen.d_value = d_values.data() + static_cast<std::size_t>(kv) * dim;
            }
            all.push_back(seen);
        }

        const double roundoff = std::same_as<T, float> ? 0.0 : 0.5 * unit_of<T>;
        const double terms = static_cast<double>(all.size());
        double lse_error = (terms + 8.0) * u + 2.0 * u * std::fabs(lse);
        double largest_score_error = 0.0;
        for (const seen_key& seen : all) {
            largest_score_error = std::fmax(largest_score_error, seen.score_error);
        }
        lse_error += largest_score_error;
        if (!all.empty()) {
            log_sum_exp[at_head] = lse_error;
        }
        const auto probability = [&](const seen_key& seen) { return std::exp(seen.score - lse); };
        const auto relative_error = [&](const seen_key& seen) {
            return seen.score_error + lse_error + (8.0 + 4.0 * std::fabs(seen.score - lse)) * u;
        };

        std::vector<double> output_error(dim);
        double delta = 0.0;
        double delta_error = 0.0;
        for (seen_key& seen : all) {
            for (std::size_t d = 0; d < dim && seen.value != nullptr; ++d) {
                output_error[d] +=
                    (relative_error(seen) + terms * u + roundoff) * probability(seen) * std::fabs(seen.value[d]);
                seen.dp += d_output[d] * seen.value[d];
                seen.dp_error += width * u * std::fabs(d_output[d] * seen.value[d]);
            }
        }
        for (std::size_t d = 0; d < dim; ++d) {
            output[at_row * dim + d] = output_error[d];
            delta += d_output[d] * exact[d];
            delta_error +=
                std::fabs(d_output[d]) * (output_error[d] + (0.5 * unit_of<T> + width * u) * std::fabs(exact[d]));
        }

        // Those of a key, and, for a sink's gradients, of a batch.
        const double rows = static_cast<double>(size.batch * size.query_length * size.heads / size.kv_heads);
        for (const seen_key& seen : all) {
            const double p = probability(seen);
            const double p_error = p * relative_error(seen) + smallest;
            const double ds = std::fabs(p * (seen.dp - delta) * seen.slope);
            const double slope_error = cap > 0.0 ? 2.0 * (seen.score_error / cap + 4.0 * u) : 0.0;
            const double ds_error = smallest * std::fabs(seen.dp - delta) +
                                    p * (seen.dp_error + delta_error +
                                         (relative_error(seen) + slope_error + 8.0 * u) * std::fabs(seen.dp - delta));
            const auto rounding = [&](double factor) {
                return rounds_factors ? roundoff * factor + half_of_smallest<T> : 0.0;
            };
            const double in_sums = std::fabs(scale) * (ds_error + (rows + terms + 4.0) * u * ds + rounding(ds));
            for (std::size_t d = 0; d < dim; ++d) {
                if (seen.key != nullptr) {
                    d_query[at_row * dim + d] += in_sums * std::fabs(seen.key[d]);
                    seen.d_key[d] += in_sums * std::fabs(query[d]);
                }
                if (seen.value != nullptr) {
                    seen.d_value[d] += (p_error + (rows + 4.0) * u * p + rounding(p)) * std::fabs(d_output[d]);
                }
            }
            if (seen.received != nullptr) {
                *seen.received += p_error + (rows + 4.0) * u * p;
            }
            if (seen.d_logit != nullptr) {
                *seen.d_logit += ds_error + (rows + 4.0) * u * ds;
            }
        }
    }
};

} // namespace test
