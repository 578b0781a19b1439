// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include <unmask/tensor/tensor_view.hpp>

#include "matrix.hpp"
#include "rotary.hpp"
#include "shape.hpp"
#include "token_places.hpp"

namespace language_model {

using namespace examples;

/// What the forward pass of one layer leaves for the backward pass. Rows are positions, all sequences after each other.
/// T is what the layers compute with; what runs through all of them, the stream, is float.
template <class T>
struct activations_of_layer {
    matrix input;                     ///< [rows, width]
    matrix_of<T> attention_normed;    ///< [rows, width]
    matrix_of<T> query_key_value;     ///< [rows, 3 · width], queries and keys rotated
    matrix log_sum_exp;               ///< [batch · heads, positions]
    matrix_of<T> attended;            ///< [rows, width]
    matrix_of<T> gate;                ///< [rows, width], before the sigmoid; empty without an output gate
    matrix_of<T> gated;               ///< [rows, width]: attended · σ(gate); empty without an output gate
    matrix middle;                    ///< [rows, width]: the stream after attention
    matrix_of<T> feed_forward_normed; ///< [rows, width]
    matrix_of<T> gate_up;             ///< [rows, 2 · ffn]
    matrix_of<T> activated;           ///< [rows, ffn]
};
using layer_activations = activations_of_layer<float>;

/// What a workspace is for. Inference needs no gradients, and all of its layers may use the same memory.
enum class workspace_use { training, inference };

/// Memory of the host for a workspace: what is taken stays until this is destroyed.
class host_memory {
public:
    template <class E>
    E* take(std::vector<E> elements) {
        auto kept = std::make_shared<std::vector<E>>(std::move(elements));
        all_.push_back(kept);
        return kept->data();
    }

private:
    std::vector<std::shared_ptr<void>> all_;
};

/// All the memory of a forward and a backward pass over up to `batch` sequences of `length` tokens with `sinks` sink
/// tokens before each. Allocated once; any number of passes allocate nothing but what attention does. Memory says where
/// it is: see host_memory.
template <class T, class Memory>
class workspace_in {
public:
    workspace_in(const model_shape& shape, index_t sequences, index_t text_length, index_t sinks,
                 const token_places& places = {}, index_t sink_gradients = 0,
                 workspace_use use = workspace_use::training)
        : batch(sequences), length(text_length), positions(text_length + sinks),
          layers(static_cast<std::size_t>(shape.layers)) {
        const index_t rows = batch * positions;
        const index_t width = shape.width;
        const index_t gates = shape.output_gate ? rows : 0;
        for (std::size_t i = 0; i < layers.size(); ++i) {
            if (use == workspace_use::inference && i > 0) {
                layers[i] = layers.front();
                continue;
            }
            activations_of_layer<T>& layer = layers[i];
            allocate(layer.input, rows, width);
            allocate(layer.attention_normed, rows, width);
            allocate(layer.query_key_value, rows, 3 * width);
            allocate(layer.log_sum_exp, batch * shape.heads, positions);
            allocate(layer.attended, rows, width);
            allocate(layer.gate, gates, width);
            allocate(layer.gated, gates, width);
            allocate(layer.middle, rows, width);
            allocate(layer.feed_forward_normed, rows, width);
            allocate(layer.gate_up, rows, 2 * shape.ffn);
            allocate(layer.activated, rows, shape.ffn);
        }
        allocate(embedded, shape.mixes_neighbours ? batch * length : 0, width);
        allocate(stream, rows, width);
        allocate(final_normed, batch * length, width);
        allocate(logits, batch * length, shape.vocabulary);
        if (use == workspace_use::training) {
            allocate_gradients(shape, rows, gates, sink_gradients);
        }
        std::vector<index_t> of_row = places.rotary_rows(text_length, sinks);
        const index_t angle_rows = 1 + *std::max_element(of_row.begin(), of_row.end());
        std::vector<float> angles(static_cast<std::size_t>(angle_rows * shape.head_dim()));
        fill_rotary_table(unmask::view(angles.data(), angle_rows, shape.head_dim()));
        rotary = unmask::view(memory_.take(std::move(angles)), angle_rows, shape.head_dim());
        rotary_rows = unmask::view(memory_.take(std::move(of_row)), positions);
    }

    index_t batch;
    index_t length;    ///< of the text
    index_t positions; ///< of text and sinks
    std::vector<activations_of_layer<T>> layers;
    matrix embedded;           ///< [batch · length, width], before neighbours are mixed in; empty if they are not
    matrix stream;             ///< [rows, width]: what the last layer leaves
    matrix_of<T> final_normed; ///< [batch · length, width]: sinks dropped
    matrix logits;             ///< [batch · length, vocabulary]; for backward, with T = float, their gradient
    matrix_of<T> d_logits;     ///< the same memory where T is float
    matrix d_stream;
    matrix_of<T> d_rounded; ///< of the stream; empty where T is float
    matrix_of<T> d_normed, d_attended, d_gate, d_query_key_value, d_gate_up, d_activated;
    matrix d_sink;                               ///< [1, what one layer learns for its sink]
    matrix rotary;                               ///< [rotary positions, head_dim]
    unmask::tensor_view<index_t, 1> rotary_rows; ///< of a row of a sequence: its row of `rotary`

private:
    void allocate_gradients(const model_shape& shape, index_t rows, index_t gates, index_t sink_gradients) {
        if constexpr (std::is_same_v<T, float>) {
            d_logits = logits;
        } else {
            allocate(d_logits, batch * length, shape.vocabulary);
            allocate(d_rounded, rows, shape.width);
        }
        allocate(d_stream, rows, shape.width);
        allocate(d_normed, rows, shape.width);
        allocate(d_attended, rows, shape.width);
        allocate(d_gate, gates, shape.width);
        allocate(d_query_key_value, rows, 3 * shape.width);
        allocate(d_gate_up, rows, 2 * shape.ffn);
        allocate(d_activated, rows, shape.ffn);
        allocate(d_sink, 1, sink_gradients);
    }

    template <class E>
    void allocate(matrix_of<E>& tensor, index_t rows, index_t columns) {
        tensor = unmask::view(memory_.take(std::vector<E>(static_cast<std::size_t>(rows * columns))), rows, columns);
    }

    Memory memory_;
};

using workspace = workspace_in<float, host_memory>;

} // namespace language_model
