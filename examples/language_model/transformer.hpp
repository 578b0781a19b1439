// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <span>
#include <string>

#include <unmask/attention/attention.hpp>
#include <unmask/error.hpp>
#include <unmask/executor/cpu_executor.hpp>

#include "layers.hpp"
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
    [[nodiscard]] workspace make_workspace(index_t batch, index_t length) const {
        return {shape_, batch, length, sinks_, tokens_};
    }

    /// Tokens [work.batch · work.length], the mask among them, to work.logits: what stands at every position.
    void forward(const unmask::cpu_executor& exec, const weights_type& weights, std::span<const token_t> tokens,
                 workspace& work) const {
        encode(exec, weights, tokens, work);
        multiply(work.final_normed, weights.head, work.logits);
    }

    /// The forward pass up to the head: tokens to work.final_normed.
    void encode(const unmask::cpu_executor& exec, const weights_type& weights, std::span<const token_t> tokens,
                workspace& work) const {
        embed(weights, tokens, work.layers.front().input, work);
        for (std::size_t i = 0; i < work.layers.size(); ++i) {
            const bool last = i + 1 == work.layers.size();
            layer_forward(exec, weights.layers[i], work.layers[i], last ? work.stream : work.layers[i + 1].input, work);
        }
        for (index_t sequence = 0; sequence < work.batch; ++sequence) {
            rms_norm(content(work.stream, sequence, work), weights.final_norm, text(work.final_normed, sequence, work));
        }
    }

    /// Adds to the gradients of all weights. Takes the gradient of the logits in work.logits, and the rest of the
    /// workspace as forward left it for the same tokens.
    void backward(const unmask::cpu_executor& exec, const weights_type& weights, const weights_type& gradients,
                  std::span<const token_t> tokens, workspace& work) const {
        const matrix d_final = rows_of(work.d_normed, 0, work.batch * work.length);
        multiply_backward(work.final_normed, weights.head, work.logits, d_final, gradients.head);
        std::fill_n(work.d_stream.data, work.d_stream.size(), 0.0F);
        for (index_t sequence = 0; sequence < work.batch; ++sequence) {
            rms_norm_backward(content(work.stream, sequence, work), weights.final_norm, text(d_final, sequence, work),
                              content(work.d_stream, sequence, work), gradients.final_norm);
        }
        for (std::size_t i = work.layers.size(); i-- > 0;) {
            layer_backward(exec, weights.layers[i], gradients.layers[i], work.layers[i], work);
        }
        embed_backward(gradients, tokens, work);
    }

    /// The rows of one sequence's text among those of all positions: what of the stream is no sink token.
    [[nodiscard]] matrix content(const matrix& rows, index_t sequence, const workspace& work) const {
        return rows_of(rows, sequence * work.positions + sinks_, work.length);
    }

    /// One layer's attention as a pass left it, sink tokens included.
    [[nodiscard]] unmask::attention_tensors<float> attention_tensors(const layer_activations& layer,
                                                                     const workspace& work) const {
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

    static matrix text(const matrix& rows, index_t sequence, const workspace& work) {
        return rows_of(rows, sequence * work.length, work.length);
    }

    void embed(const weights_type& weights, std::span<const token_t> tokens, const matrix& stream,
               const workspace& work) const {
        const index_t width = shape_.width;
        for (index_t sequence = 0; sequence < work.batch; ++sequence) {
            if (sinks_ > 0) {
                std::copy_n(weights.sink_embedding.data, sinks_ * width, stream.pointer(sequence * work.positions));
            }
            const matrix rows = content(stream, sequence, work);
            for (index_t i = 0; i < work.length; ++i) {
                const token_t token = tokens[static_cast<std::size_t>(sequence * work.length + i)];
                std::copy_n(weights.embedding.pointer(token), width, rows.pointer(i));
            }
        }
    }

    void embed_backward(const weights_type& gradients, std::span<const token_t> tokens, const workspace& work) const {
        const index_t width = shape_.width;
        const auto add = [width](const float* from, float* to, index_t rows) {
            for (index_t i = 0; i < rows * width; ++i) {
                to[i] += from[i];
            }
        };
        for (index_t sequence = 0; sequence < work.batch; ++sequence) {
            if (sinks_ > 0) {
                add(work.d_stream.pointer(sequence * work.positions), gradients.sink_embedding.data, sinks_);
            }
            const matrix rows = content(work.d_stream, sequence, work);
            for (index_t i = 0; i < work.length; ++i) {
                const token_t token = tokens[static_cast<std::size_t>(sequence * work.length + i)];
                add(rows.pointer(i), gradients.embedding.pointer(token), 1);
            }
        }
    }

    void layer_forward(const unmask::cpu_executor& exec, const layer_weights<Sink>& weights, layer_activations& layer,
                       const matrix& output, const workspace& work) const {
        in_row_blocks(exec, layer.input.extents[0], [&](const auto& part) {
            rms_norm(part(layer.input), weights.attention_norm, part(layer.attention_normed));
            multiply(part(layer.attention_normed), weights.query_key_value, part(layer.query_key_value));
        });
        rotate_queries_and_keys(layer.query_key_value, work, 1.0F);
        unmask::attention_forward(exec, attention_tensors(layer, work), mask_, weights.sink.policy());
        in_row_blocks(exec, layer.input.extents[0], [&](const auto& part) {
            if (shape_.output_gate) {
                multiply(part(layer.attention_normed), weights.attention_gate, part(layer.gate));
                gate_output(part(layer.attended), part(layer.gate), part(layer.gated));
            }
            copy(part(layer.input), part(layer.middle));
            add_product(part(attention_result(layer)), weights.attention_output, part(layer.middle));

            rms_norm(part(layer.middle), weights.feed_forward_norm, part(layer.feed_forward_normed));
            multiply(part(layer.feed_forward_normed), weights.gate_up, part(layer.gate_up));
            swiglu(part(layer.gate_up), part(layer.activated));
            copy(part(layer.middle), part(output));
            add_product(part(layer.activated), weights.down, part(output));
        });
    }

    [[nodiscard]] const matrix& attention_result(const layer_activations& layer) const {
        return shape_.output_gate ? layer.gated : layer.attended;
    }

    // Calls body(part) once for every worker; part(matrix) is then that worker's share of the matrix's rows.
    template <class Body>
    static void in_row_blocks(const unmask::cpu_executor& exec, index_t rows, const Body& body) {
        const index_t blocks = std::min<index_t>(exec.workers(), rows);
        exec.parallel_for(blocks, [&](index_t block, int) {
            const index_t begin = block * rows / blocks;
            const index_t end = (block + 1) * rows / blocks;
            body([=](const matrix& whole) { return rows_of(whole, begin, end - begin); });
        });
    }

    static void copy(const matrix& from, const matrix& to) { std::copy_n(from.data, from.size(), to.data); }

    // Takes the gradient of the layer's output in work.d_stream and leaves that of its input there.
    void layer_backward(const unmask::cpu_executor& exec, const layer_weights<Sink>& weights,
                        const layer_weights<Sink>& gradients, const layer_activations& layer, workspace& work) const {
        multiply_backward(layer.activated, weights.down, work.d_stream, work.d_activated, gradients.down);
        swiglu_backward(layer.gate_up, work.d_activated, work.d_gate_up);
        multiply_backward(layer.feed_forward_normed, weights.gate_up, work.d_gate_up, work.d_normed, gradients.gate_up);
        rms_norm_backward(layer.middle, weights.feed_forward_norm, work.d_normed, work.d_stream,
                          gradients.feed_forward_norm);

        multiply_backward(attention_result(layer), weights.attention_output, work.d_stream, work.d_attended,
                          gradients.attention_output);
        if (shape_.output_gate) {
            gate_output_backward(layer.attended, layer.gate, work.d_attended, work.d_gate);
            multiply_backward(layer.attention_normed, weights.attention_gate, work.d_gate, work.d_normed,
                              gradients.attention_gate);
            rms_norm_backward(layer.input, weights.attention_norm, work.d_normed, work.d_stream,
                              gradients.attention_norm);
        }
        attention_backward(exec, weights, gradients, layer, work);
        rotate_queries_and_keys(work.d_query_key_value, work, -1.0F);
        multiply_backward(layer.attention_normed, weights.query_key_value, work.d_query_key_value, work.d_normed,
                          gradients.query_key_value);
        rms_norm_backward(layer.input, weights.attention_norm, work.d_normed, work.d_stream, gradients.attention_norm);
    }

    void attention_backward(const unmask::cpu_executor& exec, const layer_weights<Sink>& weights,
                            const layer_weights<Sink>& gradients, const layer_activations& layer,
                            workspace& work) const {
        const index_t width = shape_.width;
        unmask::attention_gradients<float> d{.output = heads(work.d_attended, 0, work),
                                             .query = heads(work.d_query_key_value, 0, work),
                                             .key = heads(work.d_query_key_value, width, work),
                                             .value = heads(work.d_query_key_value, 2 * width, work)};
        const sink_gradient_sum<Sink> sum(gradients.sink, shape_);
        sum.part().attach(d);
        unmask::attention_backward(exec, attention_tensors(layer, work), d, mask_, weights.sink.policy());
        sum.add();
    }

    // Columns [begin, begin + width) of a matrix as [batch, positions, heads, head_dim].
    unmask::tensor_view<float, 4> heads(const matrix& rows, index_t begin, const workspace& work) const {
        const index_t stride = rows.strides[0];
        return {rows.data + begin,
                {work.batch, work.positions, shape_.heads, shape_.head_dim()},
                {work.positions * stride, stride, shape_.head_dim(), 1}};
    }

    void rotate_queries_and_keys(const matrix& query_key_value, const workspace& work, float direction) const {
        for (index_t row = 0; row < query_key_value.extents[0]; ++row) {
            const index_t position = work.rotary_rows[static_cast<std::size_t>(row % work.positions)];
            rotate(query_key_value.pointer(row), 2 * shape_.heads, shape_.head_dim(), work.rotary.pointer(position),
                   direction);
        }
    }

    model_shape shape_;
    Mask mask_;
    token_places tokens_;
    index_t sinks_;
    std::vector<tensor_place> places_;
};

} // namespace language_model
