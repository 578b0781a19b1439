// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <utility>

#include <unmask/attention/attention.hpp>
#include <unmask/error.hpp>
#include <unmask/executor/cpu_executor.hpp>
#include <unmask/sink/no_sink.hpp>

#include "cpu_backend.hpp"
#include "weights.hpp"

namespace pretrained {

/// No sink in any layer.
struct no_sinks {
    unmask::no_sink operator()(index_t /*layer*/) const { return {}; }
};

/// Does nothing with what a layer's attention was given.
struct unwatched {
    template <class... Anything>
    void operator()(const Anything&...) const {}
};

/// A transformer that looks both ways, as BERT (Devlin et al., arXiv 1810.04805) is built: layer normalisation after
/// each residual sum, learned positions, biases everywhere.
///
///     x = norm(word + position + type), mapped to the model's width if that is another
///     in each layer:  x = norm(x + W attention(x)),  x = norm(x + W gelu(W x))
///     logits = words · norm(gelu(W x)) + bias
///
/// What a position may attend to is the mask policy's decision, what the softmax gets besides the keys is the sink
/// policies', one for each layer, and where it is computed is the executor's. One object computes one text at a time.
template <class Executor = unmask::cpu_executor>
class encoder {
    using backend = encoder_backend<Executor>;

public:
    /// The weights must outlive the encoder.
    encoder(const encoder_weights& weights, const model_description& model) : weights_(&weights), model_(&model) {}

    [[nodiscard]] index_t vocabulary() const { return weights_->vocabulary(); }
    [[nodiscard]] index_t layers() const { return std::ssize(weights_->layers); }
    [[nodiscard]] index_t heads() const { return model_->heads; }
    [[nodiscard]] index_t head_dim() const { return weights_->width() / heads(); }

    /// How many positions there are.
    [[nodiscard]] index_t longest() const { return weights_->positions.extents[0] - model_->first_position; }

    /// What the last layer leaves of tokens at positions, [tokens, width], until the next call. sinks(layer) is a sink
    /// policy. After each attention, watch(layer, tensors, mask, sink) is called. Throws unmask::invalid_argument for
    /// tokens and positions that the model doesn't have.
    template <unmask::mask_policy Mask, class Sinks = no_sinks, class Watch = unwatched>
    const_matrix forward(const Executor& exec, std::span<const token_t> tokens, std::span<const index_t> positions,
                         const Mask& mask, const Sinks& sinks = {}, const Watch& watch = {}) {
        const auto rows = reserve(tokens, positions);
        const matrix embedded = weights_->map ? view(branch_, rows, weights_->words.extents[1]) : stream(rows);
        backend::embed(exec, *weights_, tokens, rows_of_positions_, embedded);
        backend::norm(exec, weights_->embedding_norm, model_->epsilon, embedded);
        if (weights_->map) {
            backend::linear(exec, embedded, *weights_->map, stream(rows));
        }
        for (index_t i = 0; i < layers(); ++i) {
            const layer_weights& layer = weights_->layers[static_cast<std::size_t>(i)];
            attend(exec, layer, rows, mask, sinks(i), [&](const auto&... seen) { watch(i, seen...); });
            feed_forward(exec, layer, rows);
        }
        return stream(rows);
    }

    /// The logits of some of the rows that forward() left, [rows, vocabulary]. Throws unmask::invalid_argument if the
    /// model has no head.
    void logits(const Executor& exec, std::span<const index_t> rows, matrix output) {
        if (!weights_->head) {
            throw unmask::invalid_argument("encoder::logits", "the model", std::string(model_->name),
                                           "one that predicts tokens");
        }
        const index_t count = std::ssize(rows);
        const head_weights& head = *weights_->head;
        const matrix gathered = view(branch_, count, weights_->width());
        const matrix hidden = view(query_, count, weights_->words.extents[1]);
        backend::gather(exec, stream(length_), rows, gathered);
        backend::linear(exec, gathered, head.dense, hidden);
        backend::gelu(exec, hidden);
        backend::norm(exec, head.norm, model_->epsilon, hidden);
        backend::linear(exec, hidden, {weights_->words, head.bias}, output);
    }

private:
    using memory = typename backend::memory;

    template <class Mask, class Sink, class Watch>
    void attend(const Executor& exec, const layer_weights& layer, index_t rows, const Mask& mask, const Sink& sink,
                const Watch& watch) {
        const index_t width = weights_->width();
        backend::linear(exec, stream(rows), layer.query, view(query_, rows, width));
        backend::linear(exec, stream(rows), layer.key, view(key_, rows, width));
        backend::linear(exec, stream(rows), layer.value, view(value_, rows, width));
        const auto heads_of = [&](memory& columns) {
            return unmask::view(columns.data(), index_t{1}, rows, heads(), head_dim());
        };
        const unmask::attention_tensors<float> tensors{
            .query = heads_of(query_),
            .key = heads_of(key_),
            .value = heads_of(value_),
            .output = heads_of(attended_),
            .log_sum_exp = unmask::view(log_sum_exp_.data(), index_t{1}, heads(), rows)};
        unmask::attention_forward(exec, tensors, mask, sink);
        watch(tensors, mask, sink);
        backend::linear(exec, view(attended_, rows, width), layer.attended, view(branch_, rows, width));
        add_and_norm(exec, layer.attention_norm, rows);
    }

    void feed_forward(const Executor& exec, const layer_weights& layer, index_t rows) {
        const matrix inner = view(inner_, rows, layer.up.weight.extents[0]);
        backend::linear(exec, stream(rows), layer.up, inner);
        backend::gelu(exec, inner);
        backend::linear(exec, inner, layer.down, view(branch_, rows, weights_->width()));
        add_and_norm(exec, layer.output_norm, rows);
    }

    void add_and_norm(const Executor& exec, const norm_weights& norm, index_t rows) {
        backend::add(exec, view(branch_, rows, weights_->width()), stream(rows));
        backend::norm(exec, norm, model_->epsilon, stream(rows));
    }

    matrix stream(index_t rows) { return view(stream_, rows, weights_->width()); }

    static matrix view(memory& numbers, index_t rows, index_t columns) {
        return unmask::view(numbers.data(), rows, columns);
    }

    // Checks the input, and finds room for it. Returns how many rows it has.
    index_t reserve(std::span<const token_t> tokens, std::span<const index_t> positions) {
        const auto expects = [](bool condition, const char* argument, index_t was, const std::string& expected) {
            if (!condition) {
                throw unmask::invalid_argument("encoder::forward", argument, std::to_string(was), expected);
            }
        };
        expects(tokens.size() == positions.size(), "positions.size()", std::ssize(positions), "one for each token");
        rows_of_positions_.clear();
        for (std::size_t i = 0; i < tokens.size(); ++i) {
            expects(tokens[i] >= 0 && tokens[i] < vocabulary(), "a token", tokens[i],
                    "one of the vocabulary's " + std::to_string(vocabulary()));
            expects(positions[i] >= 0 && positions[i] < longest(), "a position", positions[i],
                    "one of the model's " + std::to_string(longest()));
            rows_of_positions_.push_back(positions[i] + model_->first_position);
        }
        length_ = std::ssize(tokens);
        const index_t width = std::max(weights_->width(), weights_->words.extents[1]);
        for (memory* each : {&stream_, &branch_, &query_, &key_, &value_, &attended_}) {
            grow(*each, length_ * width);
        }
        grow(inner_, length_ * weights_->ffn());
        grow(log_sum_exp_, length_ * heads());
        return length_;
    }

    static void grow(memory& numbers, index_t size) {
        numbers.resize(std::max(numbers.size(), static_cast<std::size_t>(size)));
    }

    const encoder_weights* weights_;
    const model_description* model_;
    index_t length_ = 0; ///< of the last text
    std::vector<index_t> rows_of_positions_;
    memory stream_, branch_, query_, key_, value_, attended_, inner_, log_sum_exp_;
};

} // namespace pretrained
