// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "checkpoint.hpp"
#include "weights.hpp"

namespace language_model {

/// A row of the scalar transformer: what it holds, and the position that it stands for.
struct scalar_row {
    const float* embedding;
    index_t position; ///< of rotary embedding
};

/// The transformer from its definition, a number at a time, in double precision. visible(q, k) is the mask, over rows.
/// Sink is no_sink or key_value_sink. Returns what stands at every row: logits [rows, vocabulary].
template <class Sink, class Visible>
std::vector<double> scalar_transformer(const model_shape& shape, const model_weights<Sink>& weights,
                                       const std::vector<scalar_row>& rows, const Visible& visible) {
    using row_values = std::vector<double>;
    const auto size = [](index_t n) { return static_cast<std::size_t>(n); };
    const std::size_t count = rows.size();
    const auto times = [&](const row_values& x, const matrix& w) {
        row_values y(size(w.extents[1]), 0.0);
        for (index_t i = 0; i < w.extents[0]; ++i) {
            for (index_t j = 0; j < w.extents[1]; ++j) {
                y[size(j)] += x[size(i)] * static_cast<double>(w(i, j));
            }
        }
        return y;
    };
    const auto norm = [&](const row_values& x, const matrix& gain) {
        double squares = 0.0;
        for (const double each : x) {
            squares += each * each;
        }
        row_values y = x;
        for (std::size_t i = 0; i < y.size(); ++i) {
            y[i] *= static_cast<double>(gain.data[i]) / std::sqrt(squares / static_cast<double>(x.size()) + 1e-6);
        }
        return y;
    };
    const index_t dim = shape.head_dim();
    const auto rotated = [&](row_values x, index_t position) {
        for (index_t head = 0; head < 2 * shape.heads; ++head) {
            for (index_t i = 0; i < dim / 2; ++i) {
                const double exponent = -2.0 * static_cast<double>(i) / static_cast<double>(dim);
                const double angle = static_cast<double>(position) * std::pow(10000.0, exponent);
                double& low = x[size(head * dim + i)];
                double& high = x[size(head * dim + i + dim / 2)];
                const double before = low;
                low = before * std::cos(angle) - high * std::sin(angle);
                high = before * std::sin(angle) + high * std::cos(angle);
            }
        }
        return x;
    };

    std::vector<row_values> stream(count);
    for (std::size_t r = 0; r < count; ++r) {
        stream[r].assign(rows[r].embedding, rows[r].embedding + shape.width);
    }
    for (const layer_weights<Sink>& layer : weights.layers) {
        std::vector<row_values> qkv(count);
        for (std::size_t r = 0; r < count; ++r) {
            qkv[r] = rotated(times(norm(stream[r], layer.attention_norm), layer.query_key_value), rows[r].position);
        }
        for (std::size_t q = 0; q < count; ++q) {
            row_values attended(size(shape.width), 0.0);
            for (index_t head = 0; head < shape.heads; ++head) {
                double sum = 0.0;
                row_values mixed(size(dim), 0.0);
                const auto add = [&](const auto& key, const auto& value) {
                    double score = 0.0;
                    for (index_t i = 0; i < dim; ++i) {
                        score += qkv[q][size(head * dim + i)] * key(i);
                    }
                    const double weight = std::exp(score / std::sqrt(static_cast<double>(dim)));
                    sum += weight;
                    for (index_t i = 0; i < dim; ++i) {
                        mixed[size(i)] += weight * value(i);
                    }
                };
                for (std::size_t k = 0; k < count; ++k) {
                    if (visible(q, k)) {
                        add([&](index_t i) { return qkv[k][size(shape.width + head * dim + i)]; },
                            [&](index_t i) { return qkv[k][size(2 * shape.width + head * dim + i)]; });
                    }
                }
                if constexpr (Sink::has_value) {
                    add([&](index_t i) { return static_cast<double>(layer.sink.keys(head, i)); },
                        [&](index_t i) { return static_cast<double>(layer.sink.values(head, i)); });
                }
                for (index_t i = 0; i < dim; ++i) {
                    attended[size(head * dim + i)] = mixed[size(i)] / sum;
                }
            }
            const row_values projected = times(attended, layer.attention_output);
            for (std::size_t i = 0; i < projected.size(); ++i) {
                stream[q][i] += projected[i];
            }
        }
        for (row_values& row : stream) {
            const row_values gate_up = times(norm(row, layer.feed_forward_norm), layer.gate_up);
            row_values activated(size(shape.ffn));
            for (std::size_t i = 0; i < activated.size(); ++i) {
                activated[i] = gate_up[i] / (1.0 + std::exp(-gate_up[i])) * gate_up[i + activated.size()];
            }
            const row_values projected = times(activated, layer.down);
            for (std::size_t i = 0; i < projected.size(); ++i) {
                row[i] += projected[i];
            }
        }
    }
    std::vector<double> logits;
    for (const row_values& row : stream) {
        const row_values of_row = times(norm(row, weights.final_norm), weights.head);
        logits.insert(logits.end(), of_row.begin(), of_row.end());
    }
    return logits;
}

} // namespace language_model
