// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include <unmask/attention/attention.hpp>
#include <unmask/attention/key_value_store.hpp>
#include <unmask/executor/cpu_executor.hpp>
#include <unmask/mask/extra_sink.hpp>
#include <unmask/mask/shadow_block.hpp>

#include "encoder_memory.hpp"
#include "layers.hpp"
#include "parallel.hpp"
#include "weights.hpp"

namespace language_model {

using namespace examples;

using unmask::token_t;

/// The mask of models that look both ways, behind 0 or more sink tokens. Without a shadow every position sees all: one
/// type less to compile.
using shadow_mask = unmask::extra_sink<unmask::shadow_block>;

/// The transformer of transformer.hpp for inference: it computes any positions of one text, and takes the keys and
/// values of the others from a store. Sink tokens see nothing but themselves, so their keys and values depend on the
/// weights alone: they are computed once, and every store begins with them.
///
/// A position's bits depend on its token, its place and what it sees, not on the positions computed beside it, nor on
/// the number of threads: attention promises that, and tile_rows is for the matrix products.
template <class Sink>
class text_encoder {
public:
    using store = unmask::key_value_store<float>;

    /// For texts of up to `longest` tokens. The weights are somebody else's memory.
    text_encoder(const model_shape& shape, index_t sinks, model_weights<Sink> weights, index_t longest)
        : shape_(shape), sinks_(sinks), weights_(std::move(weights)),
          angles_(static_cast<std::size_t>((first_position() + longest) * shape.head_dim())),
          sink_store_(shape.layers, shape.heads, shape.head_dim()) {
        fill_rotary_table(rotary());
        if (sinks > 0) {
            compute_sinks();
        }
    }

    [[nodiscard]] index_t sinks() const { return sinks_; }

    /// The keys and values of the sinks.
    [[nodiscard]] const store& sink_store() const { return sink_store_; }

    /// Takes tokens into the pass that `memory` describes: they stand for the text's positions from `position` on, and
    /// their keys come after `key` others.
    row_range add(std::span<const token_t> tokens, index_t position, index_t key, encoder_memory& memory) const {
        const row_range added = memory.add(std::ssize(tokens), position % tile_rows, first_position() + position, key);
        for (index_t i = 0; i < added.count; ++i) {
            std::copy_n(weights_.embedding.pointer(tokens[static_cast<std::size_t>(i)]), shape_.width,
                        memory.stream.rows(added.first_row + i, 1).data);
        }
        return added;
    }

    /// Runs the pass through all layers. Store is a key_value_store or a kv_cache: the keys and values of the positions
    /// computed are written to it, and its first `keys` are what attention sees through the mask.
    template <class Mask, class Store>
    void run(const unmask::cpu_executor& exec, const Mask& mask, index_t keys, Store& kept,
             encoder_memory& memory) const {
        for (std::size_t i = 0; i < weights_.layers.size(); ++i) {
            const auto layer = static_cast<index_t>(i);
            const layer_weights<Sink>& weights = weights_.layers[i];
            side_by_side(exec, memory.tiles, [&](const unmask::cpu_executor& inside, int, index_t tile) {
                before_attention(inside, weights, tile, memory);
            });
            for (const row_range& each : memory.ranges) {
                kept.write(layer, each.key, heads(memory.query_key_value, each, shape_.width),
                           heads(memory.query_key_value, each, 2 * shape_.width));
            }
            for (const row_range& each : memory.ranges) {
                const unmask::attention_tensors<float> tensors{.query = heads(memory.query_key_value, each, 0),
                                                               .key = kept.key(layer, keys),
                                                               .value = kept.value(layer, keys),
                                                               .output = heads(memory.attended, each, 0)};
                unmask::attention_forward(exec, tensors, mask, weights.sink.policy(), {.query_offset = each.key});
            }
            side_by_side(exec, memory.tiles, [&](const unmask::cpu_executor& inside, int, index_t tile) {
                after_attention(inside, weights, tile, memory);
            });
        }
    }

    /// What stands at some rows of a pass that has run: logits [rows, vocabulary]. Rows of one tile are beside each
    /// other.
    void predict(std::span<const index_t> rows, encoder_memory& memory, matrix logits) const {
        memory.logits.grow(tile_rows, shape_.vocabulary);
        const matrix of_tile = memory.logits.tile(0);
        index_t done = -1;
        for (std::size_t i = 0; i < rows.size(); ++i) {
            if (const index_t tile = rows[i] / tile_rows; tile != done) {
                rms_norm(memory.stream.tile(tile), weights_.final_norm, memory.normed.tile(tile));
                multiply(memory.normed.tile(tile), weights_.head, of_tile);
                done = tile;
            }
            std::copy_n(of_tile.pointer(rows[i] % tile_rows), shape_.vocabulary, logits.pointer(i));
        }
    }

private:
    // The first token of the text is at position 1, with or without a sink before it, as in training.
    [[nodiscard]] index_t first_position() const { return std::max<index_t>(1, sinks_); }

    [[nodiscard]] matrix rotary() {
        return unmask::view(angles_.data(), std::ssize(angles_) / shape_.head_dim(), shape_.head_dim());
    }

    void compute_sinks() {
        encoder_memory memory(shape_);
        const row_range sinks = memory.add(sinks_, 0, 0, 0);
        std::copy_n(weights_.sink_embedding.data, sinks_ * shape_.width,
                    memory.stream.rows(sinks.first_row, sinks_).data);
        run(unmask::cpu_executor{1}, shadow_mask{{0, 0, 0}, 0, sinks_}, sinks_, sink_store_, memory);
    }

    // Columns [begin, begin + width) of some rows as [1, positions, heads, head_dim].
    [[nodiscard]] unmask::tensor_view<float, 4> heads(encoder_memory::growing_matrix& whole, const row_range& range,
                                                      index_t begin) const {
        const matrix rows = whole.rows(range.first_row, range.count);
        const index_t stride = rows.strides[0];
        return {rows.data + begin,
                {1, range.count, shape_.heads, shape_.head_dim()},
                {range.count * stride, stride, shape_.head_dim(), 1}};
    }

    // One tile's product, in parts that are the same whoever computes them.
    template <void Product(const_matrix, const_matrix, matrix)>
    static void in_parts(const unmask::cpu_executor& exec, const matrix& input, const matrix& weight,
                         const matrix& output) {
        const index_t columns = output.extents[1];
        exec.parallel_for((columns + tile_columns - 1) / tile_columns, [&](index_t i, int) {
            const index_t begin = i * tile_columns;
            const auto part = [&](const matrix& all) {
                return matrix{all.data + begin, {all.extents[0], std::min(tile_columns, columns - begin)}, all.strides};
            };
            Product(input, part(weight), part(output));
        });
    }

    void before_attention(const unmask::cpu_executor& exec, const layer_weights<Sink>& weights, index_t tile,
                          encoder_memory& memory) const {
        const matrix normed = memory.normed.tile(tile);
        const matrix query_key_value = memory.query_key_value.tile(tile);
        rms_norm(memory.stream.tile(tile), weights.attention_norm, normed);
        in_parts<multiply>(exec, normed, weights.query_key_value, query_key_value);
        for (index_t i = 0; i < tile_rows; ++i) {
            const index_t at = memory.angles[static_cast<std::size_t>(tile * tile_rows + i)];
            rotate(query_key_value.pointer(i), 2 * shape_.heads, shape_.head_dim(),
                   angles_.data() + at * shape_.head_dim(), 1.0F);
        }
    }

    void after_attention(const unmask::cpu_executor& exec, const layer_weights<Sink>& weights, index_t tile,
                         encoder_memory& memory) const {
        const matrix stream = memory.stream.tile(tile);
        const matrix normed = memory.normed.tile(tile);
        const matrix gate_up = memory.gate_up.tile(tile);
        const matrix activated = memory.activated.tile(tile);
        in_parts<add_product>(exec, memory.attended.tile(tile), weights.attention_output, stream);
        rms_norm(stream, weights.feed_forward_norm, normed);
        in_parts<multiply>(exec, normed, weights.gate_up, gate_up);
        swiglu(gate_up, activated);
        in_parts<add_product>(exec, activated, weights.down, stream);
    }

    model_shape shape_;
    index_t sinks_;
    model_weights<Sink> weights_;
    std::vector<float> angles_; // [positions, head_dim]
    store sink_store_;
};

} // namespace language_model
