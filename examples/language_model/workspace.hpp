// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <vector>

#include <unmask/tensor/tensor_view.hpp>

#include "layers.hpp"
#include "shape.hpp"
#include "token_places.hpp"

namespace language_model {

/// What the forward pass of one layer leaves for the backward pass. Rows are positions, all sequences after each other.
struct layer_activations {
    matrix input;               ///< [rows, width]
    matrix attention_normed;    ///< [rows, width]
    matrix query_key_value;     ///< [rows, 3 · width], queries and keys rotated
    matrix log_sum_exp;         ///< [batch · heads, positions]
    matrix attended;            ///< [rows, width]
    matrix gate;                ///< [rows, width], before the sigmoid; empty without an output gate
    matrix gated;               ///< [rows, width]: attended · σ(gate); empty without an output gate
    matrix middle;              ///< [rows, width]: the stream after attention
    matrix feed_forward_normed; ///< [rows, width]
    matrix gate_up;             ///< [rows, 2 · ffn]
    matrix activated;           ///< [rows, ffn]
};

/// All the memory of a forward and a backward pass over up to `batch` sequences of `length` tokens with `sinks` sink
/// tokens before each. Allocated once; any number of passes allocate nothing but what attention does.
class workspace {
public:
    workspace(const model_shape& shape, index_t sequences, index_t text_length, index_t sinks,
              const token_places& places = {})
        : batch(sequences), length(text_length), positions(text_length + sinks),
          rotary_rows(places.rotary_rows(text_length, sinks)), layers(static_cast<std::size_t>(shape.layers)) {
        const index_t rows = batch * positions;
        const index_t width = shape.width;
        const index_t gates = shape.output_gate ? rows : 0;
        for (layer_activations& layer : layers) {
            layer.input = allocate(rows, width);
            layer.attention_normed = allocate(rows, width);
            layer.query_key_value = allocate(rows, 3 * width);
            layer.log_sum_exp = allocate(batch * shape.heads, positions);
            layer.attended = allocate(rows, width);
            layer.gate = allocate(gates, width);
            layer.gated = allocate(gates, width);
            layer.middle = allocate(rows, width);
            layer.feed_forward_normed = allocate(rows, width);
            layer.gate_up = allocate(rows, 2 * shape.ffn);
            layer.activated = allocate(rows, shape.ffn);
        }
        stream = allocate(rows, width);
        final_normed = allocate(batch * length, width);
        logits = allocate(batch * length, shape.vocabulary);
        d_stream = allocate(rows, width);
        d_normed = allocate(rows, width);
        d_attended = allocate(rows, width);
        d_gate = allocate(gates, width);
        d_query_key_value = allocate(rows, 3 * width);
        d_gate_up = allocate(rows, 2 * shape.ffn);
        d_activated = allocate(rows, shape.ffn);
        rotary = allocate(1 + *std::max_element(rotary_rows.begin(), rotary_rows.end()), shape.head_dim());
        fill_rotary_table(rotary);
    }

    index_t batch;
    index_t length;                   ///< of the text
    index_t positions;                ///< of text and sinks
    std::vector<index_t> rotary_rows; ///< of a row of a sequence: its row of `rotary`
    std::vector<layer_activations> layers;
    matrix stream;       ///< [rows, width]: what the last layer leaves
    matrix final_normed; ///< [batch · length, width]: sinks dropped
    matrix logits;       ///< [batch · length, vocabulary]; for backward, their gradient
    matrix d_stream, d_normed, d_attended, d_gate, d_query_key_value, d_gate_up, d_activated;
    matrix rotary; ///< [rotary positions, head_dim]

private:
    matrix allocate(index_t rows, index_t columns) {
        memory_.emplace_back(static_cast<std::size_t>(rows * columns));
        return unmask::view(memory_.back().data(), rows, columns);
    }

    std::vector<std::vector<float>> memory_;
};

} // namespace language_model
