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

#include "shape.hpp"

namespace language_model {

/// What one layer learns for a sink policy. A specialisation lists its tensors (`each`), makes the policy from them
/// (`policy`), and, holding gradients instead of weights, says where the backward pass puts them (`attach`). As it
/// stands here: nothing to learn.
template <class Sink>
struct sink_parameters {
    template <class Visit>
    void each(const std::string& /*layer*/, const model_shape& /*shape*/, const Visit& /*visit*/) {}
    [[nodiscard]] Sink policy() const { return {}; }
    void attach(unmask::attention_gradients<float>& /*gradients*/) const {}
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
    void attach(unmask::attention_gradients<float>& gradients) const {
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
    void attach(unmask::attention_gradients<float>& gradients) const { gradients.sink_keys = keys; }
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
    void attach(unmask::attention_gradients<float>& gradients) const {
        gradients.sink_keys = keys;
        gradients.sink_values = values;
    }
};

/// Adds up a sink's gradients: attention overwrites what it is given, and training sums over passes.
template <class Sink>
class sink_gradient_sum {
public:
    sink_gradient_sum(sink_parameters<Sink> total, const model_shape& shape) {
        const auto remember = [this](const std::string&, const matrix& tensor, index_t, index_t, role) {
            totals_.push_back(tensor);
        };
        const auto allocate = [this](const std::string&, matrix& tensor, index_t rows, index_t columns, role) {
            memory_.emplace_back(static_cast<std::size_t>(rows * columns));
            tensor = unmask::view(memory_.back().data(), rows, columns);
        };
        total.each({}, shape, remember);
        part_.each({}, shape, allocate);
    }

    /// Where one pass writes.
    [[nodiscard]] const sink_parameters<Sink>& part() const { return part_; }

    void add() const {
        for (std::size_t i = 0; i < totals_.size(); ++i) {
            for (std::size_t j = 0; j < memory_[i].size(); ++j) {
                totals_[i].data[j] += memory_[i][j];
            }
        }
    }

private:
    sink_parameters<Sink> part_;
    std::vector<matrix> totals_;
    std::vector<std::vector<float>> memory_;
};

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
