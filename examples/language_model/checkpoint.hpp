// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <charconv>
#include <cmath>
#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <system_error>
#include <vector>

#include <unmask/io/safetensors.hpp>

#include "integers.hpp"
#include "sink_names.hpp"
#include "token_kind.hpp"
#include "tokenizer.hpp"
#include "weights.hpp"

namespace language_model {

using namespace examples;

using unmask::file_error;
using unmask::read_safetensors;
using unmask::safetensors_file;
using unmask::shown;
using unmask::stored_tensor;
using unmask::tensor_values;
using unmask::write_safetensors;

/// What a file says about the model in it, besides the weights.
struct model_card {
    model_shape shape;
    token_kind tokens;
    std::string sink;     ///< one of sink_names
    index_t length = 256; ///< of the windows it was trained on
    index_t step = 0;     ///< training steps so far
};

inline std::map<std::string, std::string> to_metadata(const model_card& card) {
    std::map<std::string, std::string> metadata = {{"sink", card.sink},
                                                   {"length", std::to_string(card.length)},
                                                   {"step", std::to_string(card.step)},
                                                   {"width", std::to_string(card.shape.width)},
                                                   {"layers", std::to_string(card.shape.layers)},
                                                   {"heads", std::to_string(card.shape.heads)},
                                                   {"ffn", std::to_string(card.shape.ffn)}};
    if (card.tokens.byte_pairs.empty()) {
        metadata["alphabet"] = card.tokens.alphabet;
    } else {
        metadata["tokenizer"] = card.tokens.byte_pairs;
        metadata["vocabulary"] = std::to_string(card.shape.vocabulary);
    }
    if (card.shape.mixes_neighbours) { // only then: other files stay as they were
        metadata["mixes_neighbours"] = "1";
    }
    return metadata;
}

/// A text of a file's metadata. Throws file_error if it is not there.
inline const std::string& metadata_of(const safetensors_file& file, const std::string& key) {
    const auto found = file.metadata.find(key);
    if (found == file.metadata.end()) {
        throw file_error(file.name, shown(key) + " of the metadata", "missing", "that of a model");
    }
    return found->second;
}

/// A number of a file's metadata. Throws file_error if it is not there, or is another.
inline index_t integer_of(const safetensors_file& file, const std::string& key, const integers& valid) {
    const std::string& text = metadata_of(file, key);
    if (const auto value = valid.parse(text)) {
        return *value;
    }
    throw file_error(file.name, shown(key) + " of the metadata", shown(text), valid.description());
}

/// The same for numbers with a fraction.
inline double number_of(const safetensors_file& file, const std::string& key) {
    const std::string& text = metadata_of(file, key);
    double value = 0.0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc() && end == text.data() + text.size() && std::isfinite(value)) {
        return value;
    }
    throw file_error(file.name, shown(key) + " of the metadata", shown(text), "a number");
}

/// Throws file_error if the file doesn't describe a model, or one that mixes neighbours: encoders that compute some
/// positions alone know nothing of it.
inline model_card card_of(const safetensors_file& file) {
    const auto expects = [&](bool condition, const std::string& key, const std::string& expected) {
        if (!condition) {
            throw file_error(file.name, shown(key) + " of the metadata", shown(metadata_of(file, key)), expected);
        }
    };
    expects(!file.metadata.contains("mixes_neighbours"), "mixes_neighbours", "none: such a model is for studies alone");
    model_card card;
    const bool has_byte_pairs = file.metadata.count("tokenizer") != 0;
    if (has_byte_pairs) {
        card.tokens.byte_pairs = metadata_of(file, "tokenizer");
    } else {
        card.tokens.alphabet = metadata_of(file, "alphabet");
        expects(is_alphabet(card.tokens.alphabet), "alphabet",
                "characters of ASCII that can be seen, newline or tab, each once");
    }
    card.sink = metadata_of(file, "sink");
    expects(is_sink_name(card.sink), "sink", list_of_sink_names());
    card.length = integer_of(file, "length", {1, most_length});
    card.step = integer_of(file, "step", {0});
    card.shape = {.vocabulary = has_byte_pairs ? integer_of(file, "vocabulary", {1, most_vocabulary})
                                               : std::ssize(card.tokens.alphabet),
                  .width = integer_of(file, "width", {1, most_width}),
                  .layers = integer_of(file, "layers", {1, most_layers}),
                  .heads = integer_of(file, "heads", {1, most_width}),
                  .ffn = integer_of(file, "ffn", {1, most_width})};
    if (const auto fault = card.shape.fault()) {
        expects(false, fault->name, fault->expected);
    }
    return card;
}

/// The tensors of an array of weights, each under its name. They refer to the array.
inline std::map<std::string, stored_tensor> named(const std::vector<tensor_place>& places,
                                                  const std::vector<float>& weights) {
    std::map<std::string, stored_tensor> tensors;
    for (const tensor_place& place : places) {
        const std::span values(weights.data() + place.offset, static_cast<std::size_t>(place.size()));
        tensors[place.name] = tensor_values<float>{{place.rows, place.columns}, values, {}};
    }
    return tensors;
}

/// The same tensors in bfloat16.
inline std::map<std::string, stored_tensor> rounded(std::map<std::string, stored_tensor> tensors) {
    for (auto& [name, tensor] : tensors) {
        tensor = tensor.as<unmask::bfloat16>();
    }
    return tensors;
}

/// The weights of a file as one array. Throws file_error if one is missing or of another shape, before memory is taken
/// for them.
inline std::vector<float> weights_of(const safetensors_file& file, const std::vector<tensor_place>& places) {
    std::vector<const stored_tensor*> tensors;
    for (const tensor_place& place : places) {
        tensors.push_back(&file.tensor(place.name, {place.rows, place.columns}));
    }
    std::vector<float> weights;
    weights.reserve(static_cast<std::size_t>(size_of(places)));
    for (const stored_tensor* tensor : tensors) {
        const auto numbers = tensor->as<float>();
        weights.insert(weights.end(), numbers.values.begin(), numbers.values.end());
    }
    return weights;
}

} // namespace language_model
