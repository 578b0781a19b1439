// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include <unmask/attention/tensors.hpp>
#include <unmask/error.hpp>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/sink/sink_policy.hpp>

#include "matrix.hpp"
#include "token_places.hpp"
#include "weights.hpp"
#include "workspace.hpp"

namespace language_model {

using unmask::token_t;

/// A transformer that looks both ways: pre-norm, rotary positions, SwiGLU, no biases. What a position may attend to is
/// the mask policy's decision, and what the softmax gets besides the keys is the sink policy's; both cost nothing here.
///
/// With unmask::extra_sink as the mask it is the model of *One Token Is Enough* (arXiv 2601.19657): a learned embedding
/// goes before every sequence, runs through all layers, and is dropped before the final norm. Which position it holds
/// is token_places' decision: if nothing else is said, position 0, and the text begins at position 1.
///
/// The weights are the caller's, so that trainer, optimiser and checkpoint can treat them as one array.
template <unmask::mask_policy Mask, unmask::sink_policy Sink = unmask::no_sink>
class transformer {
public:
    using sink_type = Sink;
    using weights_type = model_weights<Sink>;

    explicit transformer(const model_shape& shape, Mask mask = {}, token_places tokens = {})
        : shape_(checked(shape)), mask_(mask), tokens_(tokens), sinks_(sink_tokens(mask)),
          places_(places_of<Sink>(shape, sinks_)) {}

    [[nodiscard]] const model_shape& shape() const { return shape_; }
    [[nodiscard]] const Mask& mask() const { return mask_; }
    [[nodiscard]] index_t sinks() const { return sinks_; }
    [[nodiscard]] const std::vector<tensor_place>& places() const { return places_; }
    [[nodiscard]] index_t parameters() const { return size_of(places_); }
    [[nodiscard]] weights_type bound(float* memory) const { return bind<Sink>(shape_, sinks_, memory); }
    /// The same with products in an array of their own, unless T is float.
    template <class T>
    [[nodiscard]] model_weights<Sink, T> bound(float* memory, T* products) const {
        if (!std::is_same_v<T, float> && shape_.mixes_neighbours) {
            throw unmask::invalid_argument("transformer", "mixes_neighbours", "true",
                                           "false unless products are float");
        }
        return bind<Sink, T>(shape_, sinks_, memory, products);
    }
    [[nodiscard]] workspace make_workspace(index_t batch, index_t length) const {
        return make_workspace<workspace>(batch, length, workspace_use::training);
    }
    template <class Workspace>
    [[nodiscard]] Workspace make_workspace(index_t batch, index_t length, workspace_use use) const {
        return {shape_, batch, length, sinks_, tokens_, sink_size<Sink>(shape_), use};
    }

    /// Tokens [work.batch · work.length], the mask among them, to work.logits: what stands at every position. Layers
    /// are those of a processor (cpu_layers): its memory is where weights, tokens and workspace are. T is what they
    /// compute with.
    template <class Layers, class T, class Memory>
    void forward(const Layers& on, const model_weights<Sink, T>& weights, std::span<const token_t> tokens,
                 workspace_in<T, Memory>& work) const {
        encode(on, weights, tokens, work);
        on.multiply(work.final_normed, weights.head, work.logits);
    }

    /// The forward pass up to the head: tokens to work.final_normed.
    template <class Layers, class T, class Memory>
    void encode(const Layers& on, const model_weights<Sink, T>& weights, std::span<const token_t> tokens,
                workspace_in<T, Memory>& work) const {
        const matrix& stream = work.layers.front().input;
        if (sinks_ > 0) {
            on.repeat(weights.sink_embedding, sink_rows(stream, work));
        }
        on.embed(tokens, weights.embedding, text_rows(stream, work));
        mix_neighbours(on, weights, text_rows(stream, work), work);
        for (std::size_t i = 0; i < work.layers.size(); ++i) {
            const bool last = i + 1 == work.layers.size();
            layer_forward(on, weights.layers[i], work.layers[i], last ? work.stream : work.layers[i + 1].input, work);
        }
        on.rms_norm(text_rows(work.stream, work), weights.final_norm, work.final_normed);
    }

    /// Adds to the gradients of all weights. Takes the gradient of the logits in work.d_logits, and the rest of the
    /// workspace as forward left it for the same tokens.
    template <class Layers, class T, class Memory>
    void backward(const Layers& on, const model_weights<Sink, T>& weights, const weights_type& gradients,
                  std::span<const token_t> tokens, workspace_in<T, Memory>& work) const {
        const matrix_of<T> d_final = rows_of(work.d_normed, 0, work.batch * work.length);
        on.multiply_backward(work.final_normed, weights.head, work.d_logits, d_final, gradients.head);
        on.clear(work.d_stream);
        on.rms_norm_backward(text_rows(work.stream, work), weights.final_norm, d_final, text_rows(work.d_stream, work),
                             gradients.final_norm);
        for (std::size_t i = work.layers.size(); i-- > 0;) {
            layer_backward(on, weights.layers[i], gradients.layers[i], work.layers[i], work);
        }
        if (sinks_ > 0) {
            on.repeat_backward(sink_rows(work.d_stream, work), gradients.sink_embedding);
        }
        mix_neighbours_backward(on, weights, gradients, text_rows(work.d_stream, work), work);
        on.embed_backward(tokens, text_rows(work.d_stream, work), gradients.embedding);
    }

    /// The rows of one sequence's text among those of all positions: what of the stream is no sink token.
    [[nodiscard]] matrix content(const matrix& rows, index_t sequence, const workspace& work) const {
        return rows_of(text_rows(rows, work), sequence);
    }

    /// One layer's attention as a pass left it, sink tokens included.
    template <class T, class Memory>
    [[nodiscard]] unmask::attention_tensors<T> attention_tensors(const activations_of_layer<T>& layer,
                                                                 const workspace_in<T, Memory>& work) const {
        const index_t width = shape_.width;
        return {.query = heads(layer.query_key_value, 0, work),
                .key = heads(layer.query_key_value, width, work),
                .value = heads(layer.query_key_value, 2 * width, work),
                .output = heads(layer.attended, 0, work),
                .log_sum_exp = unmask::view(layer.log_sum_exp.data, work.batch, shape_.heads, work.positions)};
    }

private:
    static const model_shape& checked(const model_shape& shape) {
        if (const auto fault = shape.fault()) {
            throw unmask::invalid_argument("transformer", fault->name, std::to_string(fault->was), fault->expected);
        }
        return shape;
    }

    // The stream's rows without the sink tokens', and those alone.
    template <class Work>
    grouped_rows text_rows(const matrix& rows, const Work& work) const {
        return some_rows(rows, sinks_, work.length, work);
    }
    template <class Work>
    grouped_rows sink_rows(const matrix& rows, const Work& work) const {
        return some_rows(rows, 0, sinks_, work);
    }
    template <class Work>
    static grouped_rows some_rows(const matrix& rows, index_t first, index_t count, const Work& work) {
        const index_t width = rows.extents[1];
        return {rows.pointer(first), {work.batch, count, width}, {work.positions * width, width, 1}};
    }

    // Calls body(embedded, rows) for the text of every sequence, and of every copy in it: of these, neighbours have
    // neighbours. Without a neighbour there is nothing to do.
    template <class Work, class Body>
    void each_text(const grouped_rows& rows, const Work& work, const Body& body) const {
        const index_t length = work.length / tokens_.copies;
        if (!shape_.mixes_neighbours || length < 2) {
            return;
        }
        for (index_t text = 0; text < work.batch * tokens_.copies; ++text) {
            const matrix all = rows_of(rows, text / tokens_.copies);
            body(rows_of(work.embedded, text * length, length), rows_of(all, text % tokens_.copies * length, length),
                 length - 1);
        }
    }

    // Adds what the neighbours of a position bring to it, so that local context needs no attention.
    template <class Layers, class T, class Memory>
    void mix_neighbours(const Layers& on, const model_weights<Sink, T>& weights, const grouped_rows& rows,
                        const workspace_in<T, Memory>& work) const {
        if constexpr (std::is_same_v<T, float>) {
            each_text(rows, work, [&](const matrix& embedded, const matrix& text, index_t pairs) {
                on.copy(text, embedded);
                on.add_product(rows_of(embedded, 0, pairs), weights.left_neighbour, rows_of(text, 1, pairs));
                on.add_product(rows_of(embedded, 1, pairs), weights.right_neighbour, rows_of(text, 0, pairs));
            });
        }
    }

    // Takes the gradient of what the first layer sees in d_rows and leaves that of the embeddings there.
    template <class Layers, class T, class Memory>
    void mix_neighbours_backward(const Layers& on, const model_weights<Sink, T>& weights, const weights_type& gradients,
                                 const grouped_rows& d_rows, const workspace_in<T, Memory>& work) const {
        if constexpr (std::is_same_v<T, float>) {
            each_text(d_rows, work, [&](const matrix& embedded, const matrix& d_text, index_t pairs) {
                const matrix d_left = rows_of(work.d_normed, 0, pairs); // both are free by now
                const matrix d_right = rows_of(work.d_attended, 0, pairs);
                on.multiply_backward(rows_of(embedded, 0, pairs), weights.left_neighbour, rows_of(d_text, 1, pairs),
                                     d_left, gradients.left_neighbour);
                on.multiply_backward(rows_of(embedded, 1, pairs), weights.right_neighbour, rows_of(d_text, 0, pairs),
                                     d_right, gradients.right_neighbour);
                on.add(d_left, rows_of(d_text, 0, pairs));
                on.add(d_right, rows_of(d_text, 1, pairs));
            });
        }
    }

    template <class Layers, class T, class Memory>
    void layer_forward(const Layers& on, const layer_weights<Sink, T>& weights, const activations_of_layer<T>& layer,
                       const matrix& output, const workspace_in<T, Memory>& work) const {
        on.in_row_blocks(layer.input.extents[0], [&](const auto& part) {
            on.rms_norm(part(layer.input), weights.attention_norm, part(layer.attention_normed));
            on.multiply(part(layer.attention_normed), weights.query_key_value, part(layer.query_key_value));
        });
        rotate_queries_and_keys(on, layer.query_key_value, work, 1.0F);
        on.attention_forward(attention_tensors(layer, work), mask_, weights.sink.policy());
        on.in_row_blocks(layer.input.extents[0], [&](const auto& part) {
            if (shape_.output_gate) {
                on.multiply(part(layer.attention_normed), weights.attention_gate, part(layer.gate));
                on.gate_output(part(layer.attended), part(layer.gate), part(layer.gated));
            }
            on.copy(part(layer.input), part(layer.middle));
            on.add_product(part(attention_result(layer)), weights.attention_output, part(layer.middle));

            on.rms_norm(part(layer.middle), weights.feed_forward_norm, part(layer.feed_forward_normed));
            on.multiply(part(layer.feed_forward_normed), weights.gate_up, part(layer.gate_up));
            on.swiglu(part(layer.gate_up), part(layer.activated));
            on.copy(part(layer.middle), part(output));
            on.add_product(part(layer.activated), weights.down, part(output));
        });
    }

    template <class T>
    [[nodiscard]] const matrix_of<T>& attention_result(const activations_of_layer<T>& layer) const {
        return shape_.output_gate ? layer.gated : layer.attended;
    }

    // The gradient of the stream as what it is multiplied with: rounded, if that is no float.
    template <class Layers, class T, class Memory>
    static const matrix_of<T>& stream_gradient(const Layers& on, const workspace_in<T, Memory>& work) {
        if constexpr (std::is_same_v<T, float>) {
            return work.d_stream;
        } else {
            on.round(work.d_stream, work.d_rounded);
            return work.d_rounded;
        }
    }

    // Takes the gradient of the layer's output in work.d_stream and leaves that of its input there.
    template <class Layers, class T, class Memory>
    void layer_backward(const Layers& on, const layer_weights<Sink, T>& weights, const layer_weights<Sink>& gradients,
                        const activations_of_layer<T>& layer, const workspace_in<T, Memory>& work) const {
        on.multiply_backward(layer.activated, weights.down, stream_gradient(on, work), work.d_activated,
                             gradients.down);
        on.swiglu_backward(layer.gate_up, work.d_activated, work.d_gate_up);
        on.multiply_backward(layer.feed_forward_normed, weights.gate_up, work.d_gate_up, work.d_normed,
                             gradients.gate_up);
        on.rms_norm_backward(layer.middle, weights.feed_forward_norm, work.d_normed, work.d_stream,
                             gradients.feed_forward_norm);

        on.multiply_backward(attention_result(layer), weights.attention_output, stream_gradient(on, work),
                             work.d_attended, gradients.attention_output);
        if (shape_.output_gate) {
            on.gate_output_backward(layer.attended, layer.gate, work.d_attended, work.d_gate);
            on.multiply_backward(layer.attention_normed, weights.attention_gate, work.d_gate, work.d_normed,
                                 gradients.attention_gate);
            on.rms_norm_backward(layer.input, weights.attention_norm, work.d_normed, work.d_stream,
                                 gradients.attention_norm);
        }
        attention_backward(on, weights, gradients, layer, work);
        rotate_queries_and_keys(on, work.d_query_key_value, work, -1.0F);
        on.multiply_backward(layer.attention_normed, weights.query_key_value, work.d_query_key_value, work.d_normed,
                             gradients.query_key_value);
        on.rms_norm_backward(layer.input, weights.attention_norm, work.d_normed, work.d_stream,
                             gradients.attention_norm);
    }

    // Attention overwrites what it is given, and training sums over passes.
    template <class Layers, class T, class Memory>
    void attention_backward(const Layers& on, const layer_weights<Sink, T>& weights,
                            const layer_weights<Sink>& gradients, const activations_of_layer<T>& layer,
                            const workspace_in<T, Memory>& work) const {
        const index_t width = shape_.width;
        unmask::attention_gradients<T> d{.output = heads(work.d_attended, 0, work),
                                         .query = heads(work.d_query_key_value, 0, work),
                                         .key = heads(work.d_query_key_value, width, work),
                                         .value = heads(work.d_query_key_value, 2 * width, work)};
        const auto of_pass = bind_sink<Sink>(shape_, work.d_sink.data);
        of_pass.attach(d);
        on.attention_backward(attention_tensors(layer, work), d, mask_, weights.sink.policy());
        const auto sums = tensors_of(gradients.sink, shape_);
        const auto parts = tensors_of(of_pass, shape_);
        for (std::size_t i = 0; i < sums.size(); ++i) {
            on.add(parts[i], sums[i]);
        }
    }

    // Columns [begin, begin + width) of a matrix as [batch, positions, heads, head_dim].
    template <class T, class Work>
    unmask::tensor_view<T, 4> heads(const matrix_of<T>& rows, index_t begin, const Work& work) const {
        const index_t stride = rows.strides[0];
        return {rows.data + begin,
                {work.batch, work.positions, shape_.heads, shape_.head_dim()},
                {work.positions * stride, stride, shape_.head_dim(), 1}};
    }

    template <class Layers, class T, class Work>
    void rotate_queries_and_keys(const Layers& on, const matrix_of<T>& query_key_value, const Work& work,
                                 float direction) const {
        on.rotate(query_key_value, 2 * shape_.heads, work.rotary, work.rotary_rows, direction);
    }

    model_shape shape_;
    Mask mask_;
    token_places tokens_;
    index_t sinks_;
    std::vector<tensor_place> places_;
};

} // namespace language_model
