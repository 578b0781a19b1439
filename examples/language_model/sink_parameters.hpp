// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <string>
#include <vector>

#include <unmask/attention/tensors.hpp>
#include <unmask/mask/extra_sink.hpp>
#include <unmask/sink/key_sink.hpp>
#include <unmask/sink/key_value_sink.hpp>
#include <unmask/sink/logit_sink.hpp>
#include <unmask/sink/no_sink.hpp>
#include <unmask/sink/off_by_one_sink.hpp>

#include "matrix.hpp"
#include "shape.hpp"

namespace language_model {

using namespace examples;

/// What one layer learns for a sink policy. A specialisation lists its tensors (`each`), makes the policy from them
/// (`policy`), and, holding gradients instead of weights, says where the backward pass puts them (`attach`). As it
/// stands here: nothing to learn.
template <class Sink>
struct sink_parameters {
    template <class Visit>
    void each(const std::string& /*layer*/, const model_shape& /*shape*/, const Visit& /*visit*/) {}
    [[nodiscard]] Sink policy() const { return {}; }
    template <class T>
    void attach(unmask::attention_gradients<T>& /*gradients*/) const {}
};

template <>
struct sink_parameters<unmask::logit_sink> {
    matrix logits; ///< [1, heads]

    template <class Visit>
    void each(const std::string& layer, const model_shape& shape, const Visit& visit) {
        visit(layer + "sink_logits", logits, 1, shape.heads, role::bias);
    }
    [[nodiscard]] unmask::logit_sink policy() const {
        return {unmask::view(static_cast<const float*>(logits.data), logits.size())};
    }
    template <class T>
    void attach(unmask::attention_gradients<T>& gradients) const {
        gradients.sink_logits = unmask::view(logits.data, logits.size());
    }
};

template <>
struct sink_parameters<unmask::key_sink> {
    matrix keys; ///< [heads, head_dim]

    template <class Visit>
    void each(const std::string& layer, const model_shape& shape, const Visit& visit) {
        visit(layer + "sink_keys", keys, shape.heads, shape.head_dim(), role::embedding);
    }
    [[nodiscard]] unmask::key_sink policy() const { return {keys}; }
    template <class T>
    void attach(unmask::attention_gradients<T>& gradients) const {
        gradients.sink_keys = keys;
    }
};

template <>
struct sink_parameters<unmask::key_value_sink> {
    matrix keys;   ///< [heads, head_dim]
    matrix values; ///< [heads, head_dim]

    template <class Visit>
    void each(const std::string& layer, const model_shape& shape, const Visit& visit) {
        visit(layer + "sink_keys", keys, shape.heads, shape.head_dim(), role::embedding);
        visit(layer + "sink_values", values, shape.heads, shape.head_dim(), role::embedding);
    }
    [[nodiscard]] unmask::key_value_sink policy() const { return {keys, values}; }
    template <class T>
    void attach(unmask::attention_gradients<T>& gradients) const {
        gradients.sink_keys = keys;
        gradients.sink_values = values;
    }
};

/// How many numbers one layer learns for a sink.
template <class Sink>
index_t sink_size(const model_shape& shape) {
    index_t size = 0;
    sink_parameters<Sink>{}.each(
        {}, shape,
        [&size](const std::string&, const matrix&, index_t rows, index_t columns, role) { size += rows * columns; });
    return size;
}

/// The parameters of one layer, in memory for sink_size numbers.
template <class Sink>
sink_parameters<Sink> bind_sink(const model_shape& shape, float* memory) {
    sink_parameters<Sink> parameters;
    parameters.each({}, shape, [&memory](const std::string&, matrix& tensor, index_t rows, index_t columns, role) {
        tensor = unmask::view(memory, rows, columns);
        memory += rows * columns;
    });
    return parameters;
}

/// Its tensors.
template <class Sink>
std::vector<matrix> tensors_of(sink_parameters<Sink> parameters, const model_shape& shape) {
    std::vector<matrix> tensors;
    parameters.each({}, shape, [&tensors](const std::string&, const matrix& tensor, index_t, index_t, role) {
        tensors.push_back(tensor);
    });
    return tensors;
}

/// How many sink tokens a mask expects in front of the text.
template <class Mask>
constexpr index_t sink_tokens(const Mask& /*mask*/) {
    return 0;
}
template <class Inner>
constexpr index_t sink_tokens(const unmask::extra_sink<Inner>& mask) {
    return mask.count;
}

} // namespace language_model
