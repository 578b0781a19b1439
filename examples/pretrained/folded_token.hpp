// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <vector>

#include <unmask/executor/cpu_executor.hpp>
#include <unmask/mask/bidirectional.hpp>
#include <unmask/sink/key_value_sink.hpp>
#include <unmask/tensor/tensor_view.hpp>

#include "encoder.hpp"

namespace pretrained {

/// A token that sees only itself, folded out of the sequence: what it is in each layer depends on the weights alone, so
/// its keys and values are computed once, and every layer's attention starts from a key_value_sink. With extra_sink on
/// the whole sequence, or with these sinks on the sequence without the token, the other rows are the same.
class folded_token {
public:
    folded_token(encoder<>& model, token_t token, index_t position) {
        const auto keep = [&](index_t, const unmask::attention_tensors<float>& tensors, const auto&, const auto&) {
            const auto copy = [&](const auto& view) {
                return std::vector<float>(view.data, view.data + model.heads() * model.head_dim());
            };
            layers_.push_back({copy(tensors.key), copy(tensors.value)});
        };
        heads_ = model.heads();
        head_dim_ = model.head_dim();
        model.forward(unmask::cpu_executor{1}, {&token, 1}, {&position, 1}, unmask::bidirectional{}, no_sinks{}, keep);
    }

    /// The sink of a layer; refers to this object.
    unmask::key_value_sink operator()(index_t layer) const {
        const auto& [keys, values] = layers_[static_cast<std::size_t>(layer)];
        return {unmask::view(keys.data(), heads_, head_dim_), unmask::view(values.data(), heads_, head_dim_)};
    }

private:
    struct key_and_value {
        std::vector<float> keys;   ///< [heads, head_dim]
        std::vector<float> values; ///< [heads, head_dim]
    };

    std::vector<key_and_value> layers_;
    index_t heads_ = 0;
    index_t head_dim_ = 0;
};

} // namespace pretrained
