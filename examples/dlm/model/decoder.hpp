// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cmath>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <unmask/attention/attention.hpp>
#include <unmask/executor/cpu_executor.hpp>
#include <unmask/io/safetensors.hpp>

#include "linear.hpp"
#include "model_config.hpp"
#include "pass_memory.hpp"

namespace dlm {

/// A pre-norm transformer with RMSNorm, rotary positions, grouped heads and SwiGLU: Llama and Qwen, and so LLaDA,
/// Dream, SDAR and Fast-dLLM v2. The weights stay in the file; activations are float.
///
/// What a position may attend to, and where keys and values of earlier passes are, is decided by who runs it.
class decoder {
public:
    /// Throws unmask::file_error if a tensor is missing or of another shape than the configuration says.
    decoder(const model_config& config, const unmask::safetensors_file& file)
        : config_(config), embedding_(file, config.names.embedding, config.vocabulary, config.width),
          final_norm_(gains(file, config.names.final_norm, config.width)) {
        for (index_t i = 0; i < config.layers; ++i) {
            layers_.emplace_back(config, file, config.names.layer + std::to_string(i) + ".");
        }
        if (!config.tied) {
            head_.emplace(file, config.names.head, config.vocabulary, config.width);
        }
    }

    [[nodiscard]] const model_config& config() const { return config_; }

    /// The rows of a layer's attention: query and output [1, rows, heads, head_dim], key and value of as many rows and
    /// key_value_heads.
    using attention_rows = unmask::attention_tensors<float>;

    /// Runs tokens, which stand at positions from `first` on, through all layers: what they come to is in
    /// memory.stream [rows, width]. Calls attend(layer, rows) for every layer, which writes rows.output.
    template <class Attend>
    void run(const unmask::cpu_executor& exec, std::span<const token_t> tokens, index_t first, pass_memory& memory,
             const Attend& attend) const {
        const index_t count = std::ssize(tokens);
        memory.resize(config_, count);
        memory.fill_angles(config_, first + count);
        for (index_t i = 0; i < count; ++i) {
            embedding_.copy_row(tokens[static_cast<std::size_t>(i)], memory.stream.pointer(i));
        }
        for (index_t i = 0; i < config_.layers; ++i) {
            const layer& weights = layers_[static_cast<std::size_t>(i)];
            project(exec, weights, first, memory);
            attend(i, attention_of(memory));
            weights.attention_output.apply(exec, memory.attended, memory.stream, /*add=*/true);
            feed_forward(exec, weights, memory);
        }
    }

    /// The logits of some rows of a pass that has run: [rows.size(), vocabulary].
    void predict(const unmask::cpu_executor& exec, std::span<const index_t> rows, pass_memory& memory,
                 matrix logits) const {
        const matrix picked = memory.first_normed(std::ssize(rows));
        for (std::size_t i = 0; i < rows.size(); ++i) {
            normalize(memory.stream.pointer(rows[i]), final_norm_, config_.width, picked.pointer(i));
        }
        predict(exec, picked, logits);
    }

    /// A row of a pass as the head takes it: [width].
    void normalized_row(index_t row, const pass_memory& memory, float* to) const {
        normalize(memory.stream.pointer(row), final_norm_, config_.width, to);
    }

    /// The logits of rows that normalized_row wrote.
    void predict(const unmask::cpu_executor& exec, const_matrix normed, matrix logits) const {
        (head_ ? *head_ : embedding_).apply(exec, normed, logits);
    }

private:
    struct layer {
        layer(const model_config& c, const unmask::safetensors_file& file, const std::string& name)
            : attention_norm(gains(file, name + c.names.attention_norm, c.width)),
              query(file, name + c.names.query, c.heads * c.head_dim, c.width, c.projection_bias),
              key(file, name + c.names.key, c.key_value_heads * c.head_dim, c.width, c.projection_bias),
              value(file, name + c.names.value, c.key_value_heads * c.head_dim, c.width, c.projection_bias),
              attention_output(file, name + c.names.attention_output, c.width, c.heads * c.head_dim),
              feed_forward_norm(gains(file, name + c.names.feed_forward_norm, c.width)),
              gate(file, name + c.names.gate, c.ffn, c.width), up(file, name + c.names.up, c.ffn, c.width),
              down(file, name + c.names.down, c.width, c.ffn) {
            if (c.head_norm) {
                query_norm = gains(file, name + "self_attn.q_norm", c.head_dim);
                key_norm = gains(file, name + "self_attn.k_norm", c.head_dim);
            }
        }

        std::vector<float> attention_norm;
        linear query;
        linear key;
        linear value;
        linear attention_output;
        std::vector<float> query_norm; ///< of a head; empty if there is none
        std::vector<float> key_norm;
        std::vector<float> feed_forward_norm;
        linear gate;
        linear up;
        linear down;
    };

    static std::vector<float> gains(const unmask::safetensors_file& file, const std::string& name, index_t width) {
        const auto values = file.tensor(name + ".weight", {width}).as<float>();
        return {values.values.begin(), values.values.end()};
    }

    // to = gain · x / rms(x); they may be the same memory.
    void normalize(const float* x, const std::vector<float>& gain, index_t width, float* to) const {
        double sum = 0.0;
        for (index_t i = 0; i < width; ++i) {
            sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
        }
        const auto scale = static_cast<float>(1.0 / std::sqrt(sum / static_cast<double>(width) + config_.norm_epsilon));
        for (index_t i = 0; i < width; ++i) {
            to[i] = x[i] * scale * gain[static_cast<std::size_t>(i)];
        }
    }

    void normalize_rows(const unmask::cpu_executor& exec, const std::vector<float>& gain, pass_memory& memory) const {
        exec.parallel_for(memory.rows(), [&](index_t row, int) {
            normalize(memory.stream.pointer(row), gain, config_.width, memory.normed.pointer(row));
        });
    }

    void project(const unmask::cpu_executor& exec, const layer& weights, index_t first, pass_memory& memory) const {
        normalize_rows(exec, weights.attention_norm, memory);
        weights.query.apply(exec, memory.normed, memory.query);
        weights.key.apply(exec, memory.normed, memory.key);
        weights.value.apply(exec, memory.normed, memory.value);
        exec.parallel_for(memory.rows(), [&](index_t row, int) {
            const float* angles = memory.angles_of(first + row);
            turn(memory.query.pointer(row), config_.heads, weights.query_norm, angles);
            turn(memory.key.pointer(row), config_.key_value_heads, weights.key_norm, angles);
        });
    }

    // Norm, if there is one, and rotary position of every head of a row: element i with element head_dim / 2 + i.
    void turn(float* heads, index_t count, const std::vector<float>& gain, const float* angles) const {
        const index_t half = config_.head_dim / 2;
        for (index_t head = 0; head < count; ++head) {
            float* low = heads + head * config_.head_dim;
            float* high = low + half;
            if (!gain.empty()) {
                normalize(low, gain, config_.head_dim, low);
            }
            for (index_t i = 0; i < half; ++i) {
                const float cosine = angles[i];
                const float sine = angles[half + i];
                const float x = low[i];
                const float y = high[i];
                low[i] = x * cosine - y * sine;
                high[i] = x * sine + y * cosine;
            }
        }
    }

    [[nodiscard]] attention_rows attention_of(pass_memory& memory) const {
        const auto heads = [&](const matrix& rows, index_t count) {
            return unmask::view(rows.data, index_t{1}, memory.rows(), count, config_.head_dim);
        };
        return {.query = heads(memory.query, config_.heads),
                .key = heads(memory.key, config_.key_value_heads),
                .value = heads(memory.value, config_.key_value_heads),
                .output = heads(memory.attended, config_.heads),
                .log_sum_exp = unmask::view(memory.log_sum_exp.data, index_t{1}, config_.heads, memory.rows())};
    }

    void feed_forward(const unmask::cpu_executor& exec, const layer& weights, pass_memory& memory) const {
        normalize_rows(exec, weights.feed_forward_norm, memory);
        weights.gate.apply(exec, memory.normed, memory.gate);
        weights.up.apply(exec, memory.normed, memory.up);
        exec.parallel_for(memory.rows(), [&](index_t row, int) {
            float* gate = memory.gate.pointer(row);
            const float* up = memory.up.pointer(row);
            for (index_t i = 0; i < config_.ffn; ++i) {
                gate[i] = gate[i] / (1.0F + std::exp(-gate[i])) * up[i];
            }
        });
        weights.down.apply(exec, memory.gate, memory.stream, /*add=*/true);
    }

    model_config config_;
    linear embedding_;
    std::vector<layer> layers_;
    std::vector<float> final_norm_;
    std::optional<linear> head_; ///< nothing: the embedding
};

} // namespace dlm
