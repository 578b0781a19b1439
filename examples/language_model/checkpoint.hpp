// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "safetensors.hpp"
#include "tokenizer.hpp"
#include "weights.hpp"

namespace language_model {

/// What a file says about the model in it, besides the weights.
struct model_card {
    model_shape shape;
    std::string alphabet;
    std::string sink;     ///< a name of variant.hpp
    index_t length = 256; ///< of the windows it was trained on
    index_t step = 0;     ///< training steps so far
};

inline std::map<std::string, std::string> to_metadata(const model_card& card) {
    return {{"alphabet", card.alphabet},
            {"sink", card.sink},
            {"length", std::to_string(card.length)},
            {"step", std::to_string(card.step)},
            {"width", std::to_string(card.shape.width)},
            {"layers", std::to_string(card.shape.layers)},
            {"heads", std::to_string(card.shape.heads)},
            {"ffn", std::to_string(card.shape.ffn)}};
}

/// Throws std::runtime_error if the file doesn't describe a model.
inline model_card card_of(const safetensors_file& file) {
    const auto text = [&](const char* name) -> const std::string& {
        const auto found = file.metadata.find(name);
        if (found == file.metadata.end()) {
            throw std::runtime_error(std::string("the file does not say the model's ") + name);
        }
        return found->second;
    };
    const auto number = [&](const char* name) { return static_cast<index_t>(std::stoll(text(name))); };
    model_card card;
    card.alphabet = text("alphabet");
    card.sink = text("sink");
    card.length = number("length");
    card.step = number("step");
    card.shape = {.vocabulary = static_cast<index_t>(card.alphabet.size()),
                  .width = number("width"),
                  .layers = number("layers"),
                  .heads = number("heads"),
                  .ffn = number("ffn")};
    return card;
}

/// The tensors of an array of weights, each under its name.
inline std::vector<tensor_to_store> named(const std::vector<tensor_place>& places, const std::vector<float>& weights) {
    std::vector<tensor_to_store> tensors;
    for (const tensor_place& place : places) {
        tensors.push_back({place.name,
                           {place.rows, place.columns},
                           {weights.data() + place.offset, static_cast<std::size_t>(place.size())}});
    }
    return tensors;
}

/// One tensor of a file. Throws std::runtime_error if it is missing or of another shape.
inline const std::vector<float>& tensor_of(const safetensors_file& file, const std::string& name,
                                           const std::vector<index_t>& shape) {
    const auto found = file.tensors.find(name);
    if (found == file.tensors.end() || found->second.shape != shape) {
        throw std::runtime_error("the file has no tensor '" + name + "' of the right shape");
    }
    return found->second.values;
}

/// The weights of a file as one array.
inline std::vector<float> weights_of(const safetensors_file& file, const std::vector<tensor_place>& places) {
    std::vector<float> weights;
    weights.reserve(static_cast<std::size_t>(size_of(places)));
    for (const tensor_place& place : places) {
        const std::vector<float>& values = tensor_of(file, place.name, {place.rows, place.columns});
        weights.insert(weights.end(), values.begin(), values.end());
    }
    return weights;
}

} // namespace language_model
