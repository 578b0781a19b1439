// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cmath>
#include <cstddef>
#include <functional>
#include <numbers>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <unmask/io/safetensors.hpp>

#include "models.hpp"

// The formulas of an encoder in double precision, one number at a time, straight from the tensors of its file: what the
// encoder is compared with.

namespace pretrained {

using row_of_doubles = std::vector<double>;
using rows_of_doubles = std::vector<row_of_doubles>;

class scalar_encoder {
public:
    using visible = std::function<bool(std::size_t query, std::size_t key)>;

    scalar_encoder(const unmask::safetensors_file& file, const model_description& model)
        : file_(&file), model_(&model) {}

    /// What the last layer leaves of tokens at positions 0, 1, …
    [[nodiscard]] rows_of_doubles forward(std::span<const token_t> tokens, const visible& sees) const {
        const tensor_names& names = model_->names;
        rows_of_doubles x;
        for (std::size_t i = 0; i < tokens.size(); ++i) {
            const row_of_doubles word = row(names.words, static_cast<std::size_t>(tokens[i]));
            const row_of_doubles position = row(names.positions, i + static_cast<std::size_t>(model_->first_position));
            row_of_doubles sum(word.size());
            for (std::size_t k = 0; k < sum.size(); ++k) {
                sum[k] = word[k] + position[k] + (names.types.empty() ? 0.0 : row(names.types, 0)[k]);
            }
            x.push_back(names.map.empty() ? norm(names.embedding_norm, sum)
                                          : linear(names.map, norm(names.embedding_norm, sum)));
        }
        for (index_t layer = 0; layer < model_->layers; ++layer) {
            x = after_layer(layer, x, sees);
        }
        return x;
    }

    /// The logits of a row of the last layer.
    [[nodiscard]] row_of_doubles logits(const row_of_doubles& x) const {
        const tensor_names& names = model_->names;
        const row_of_doubles hidden = norm(names.head_norm, gelu(linear(names.head, x)));
        row_of_doubles result = numbers(names.head_bias);
        for (std::size_t i = 0; i < result.size(); ++i) {
            const row_of_doubles word = row(names.words, i);
            for (std::size_t k = 0; k < hidden.size(); ++k) {
                result[i] += word[k] * hidden[k];
            }
        }
        return result;
    }

private:
    [[nodiscard]] rows_of_doubles after_layer(index_t layer, const rows_of_doubles& x, const visible& sees) const {
        const tensor_names& names = model_->names;
        std::string prefix(names.layer);
        if (const auto place = prefix.find("{}"); place != std::string::npos) {
            prefix.replace(place, 2, std::to_string(layer));
        }
        const auto name = [&](std::string_view part) { return prefix + std::string(part); };
        const std::size_t length = x.size();
        rows_of_doubles query;
        rows_of_doubles key;
        rows_of_doubles value;
        for (const row_of_doubles& each : x) {
            query.push_back(linear(name(names.query), each));
            key.push_back(linear(name(names.key), each));
            value.push_back(linear(name(names.value), each));
        }
        const std::size_t width = x[0].size();
        const std::size_t head_dim = width / static_cast<std::size_t>(model_->heads);
        rows_of_doubles result;
        for (std::size_t q = 0; q < length; ++q) {
            row_of_doubles attended(width, 0.0);
            for (std::size_t begin = 0; begin < width; begin += head_dim) {
                row_of_doubles weight(length, 0.0);
                double sum = 0.0;
                for (std::size_t k = 0; k < length; ++k) {
                    double score = 0.0;
                    for (std::size_t i = begin; i < begin + head_dim; ++i) {
                        score += query[q][i] * key[k][i];
                    }
                    weight[k] = sees(q, k) ? std::exp(score / std::sqrt(static_cast<double>(head_dim))) : 0.0;
                    sum += weight[k];
                }
                for (std::size_t k = 0; k < length; ++k) {
                    for (std::size_t i = begin; i < begin + head_dim; ++i) {
                        attended[i] += weight[k] / sum * value[k][i];
                    }
                }
            }
            const row_of_doubles middle =
                norm(name(names.attention_norm), plus(x[q], linear(name(names.attended), attended)));
            result.push_back(norm(name(names.output_norm),
                                  plus(middle, linear(name(names.down), gelu(linear(name(names.up), middle))))));
        }
        return result;
    }

    static row_of_doubles plus(row_of_doubles a, const row_of_doubles& b) {
        for (std::size_t i = 0; i < a.size(); ++i) {
            a[i] += b[i];
        }
        return a;
    }

    static row_of_doubles gelu(row_of_doubles x) {
        for (double& each : x) {
            each *= 0.5 * (1.0 + std::erf(each / std::numbers::sqrt2));
        }
        return x;
    }

    [[nodiscard]] row_of_doubles norm(std::string_view name, row_of_doubles x) const {
        double mean = 0.0;
        for (const double each : x) {
            mean += each / static_cast<double>(x.size());
        }
        double variance = 0.0;
        for (const double each : x) {
            variance += (each - mean) * (each - mean) / static_cast<double>(x.size());
        }
        const row_of_doubles gain = numbers(std::string(name) + ".weight");
        const row_of_doubles bias = numbers(std::string(name) + ".bias");
        for (std::size_t i = 0; i < x.size(); ++i) {
            x[i] = (x[i] - mean) / std::sqrt(variance + model_->epsilon) * gain[i] + bias[i];
        }
        return x;
    }

    [[nodiscard]] row_of_doubles linear(std::string_view name, const row_of_doubles& x) const {
        const row_of_doubles weight = numbers(std::string(name) + ".weight");
        row_of_doubles y = numbers(std::string(name) + ".bias");
        for (std::size_t i = 0; i < y.size(); ++i) {
            for (std::size_t k = 0; k < x.size(); ++k) {
                y[i] += weight[i * x.size() + k] * x[k];
            }
        }
        return y;
    }

    [[nodiscard]] row_of_doubles numbers(std::string_view name) const {
        const auto values = file_->tensor(std::string(name)).as<double>();
        return {values.values.begin(), values.values.end()};
    }

    [[nodiscard]] row_of_doubles row(std::string_view name, std::size_t i) const {
        const auto values = file_->tensor(std::string(name)).as<double>();
        const std::size_t width = static_cast<std::size_t>(values.shape.at(1));
        const auto begin = values.values.begin() + static_cast<std::ptrdiff_t>(i * width);
        return {begin, begin + static_cast<std::ptrdiff_t>(width)};
    }

    const unmask::safetensors_file* file_;
    const model_description* model_;
};

} // namespace pretrained
