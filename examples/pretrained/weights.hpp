// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <unmask/io/safetensors.hpp>
#include <unmask/tensor/tensor_view.hpp>

#include "models.hpp"

namespace pretrained {

using const_matrix = unmask::tensor_view<const float, 2>;

/// y = W x + b.
struct linear_weights {
    const_matrix weight; ///< [outputs, inputs]
    const float* bias;   ///< [outputs]
};

/// Normalisation to mean 0 and variance 1 along a row, then a factor and a bias for each column.
struct norm_weights {
    const float* gain; ///< [width]
    const float* bias; ///< [width]
};

struct layer_weights {
    linear_weights query, key, value, attended;
    norm_weights attention_norm;
    linear_weights up, down;
    norm_weights output_norm;
};

struct head_weights {
    linear_weights dense;
    norm_weights norm;
    const float* bias; ///< [vocabulary]; the matrix is that of the words
};

/// Where the weights of an encoder lie: in its file, if its numbers are floats, which stays mapped while this lives.
struct encoder_weights {
    const_matrix words;     ///< [vocabulary, embedding]
    const_matrix positions; ///< [positions, embedding]
    const float* type;      ///< [embedding], added to every row; null: none
    norm_weights embedding_norm;
    std::optional<linear_weights> map; ///< [width, embedding]
    std::vector<layer_weights> layers;
    std::optional<head_weights> head;
    std::vector<std::shared_ptr<const void>> memory;

    [[nodiscard]] index_t vocabulary() const { return words.extents[0]; }
    [[nodiscard]] index_t width() const { return layers.front().query.weight.extents[0]; }
    [[nodiscard]] index_t ffn() const { return layers.front().up.weight.extents[0]; }
};

namespace detail {

// Finds tensors in a file, and keeps them alive.
class weights_reader {
public:
    weights_reader(const unmask::safetensors_file& file, encoder_weights& weights) : file_(file), weights_(weights) {}

    /// A matrix of any size.
    const_matrix matrix(const std::string& name) {
        const unmask::stored_tensor& tensor = file_.tensor(name);
        if (tensor.shape.size() != 2 || tensor.size() == 0) {
            throw unmask::file_error(file_.name, "the shape of tensor " + unmask::shown(name),
                                     unmask::detail::shown_shape(tensor.shape), "that of a matrix");
        }
        return kept(tensor).view<2>();
    }

    const_matrix matrix(const std::string& name, index_t rows, index_t columns) {
        return kept(file_.tensor(name, {rows, columns})).view<2>();
    }

    const float* vector(const std::string& name, index_t size) {
        return kept(file_.tensor(name, {size})).values.data();
    }

    linear_weights linear(const std::string& name, index_t outputs, index_t inputs) {
        return {matrix(name + ".weight", outputs, inputs), vector(name + ".bias", outputs)};
    }

    norm_weights norm(const std::string& name, index_t width) {
        return {vector(name + ".weight", width), vector(name + ".bias", width)};
    }

private:
    unmask::tensor_values<float> kept(const unmask::stored_tensor& tensor) {
        auto values = tensor.as<float>();
        weights_.memory.push_back(values.memory);
        return values;
    }

    const unmask::safetensors_file& file_;
    encoder_weights& weights_;
};

} // namespace detail

/// The weights of a file. Throws unmask::file_error if one is missing or of another shape.
inline encoder_weights weights_of(const unmask::safetensors_file& file, const model_description& model) {
    const tensor_names& names = model.names;
    const auto text = [](std::string_view a, std::string_view b = {}) { return std::string(a) + std::string(b); };
    encoder_weights weights{};
    detail::weights_reader read(file, weights);
    weights.words = read.matrix(text(names.words));
    const index_t embedding = weights.words.extents[1];
    weights.positions = read.matrix(text(names.positions));
    weights.positions = read.matrix(text(names.positions), weights.positions.extents[0], embedding);
    if (!names.types.empty()) {
        const index_t types = read.matrix(text(names.types)).extents[0];
        weights.type = read.matrix(text(names.types), types, embedding).data; // row 0
    }
    weights.embedding_norm = read.norm(text(names.embedding_norm), embedding);
    index_t width = embedding;
    if (!names.map.empty()) {
        width = read.matrix(text(names.map, ".weight")).extents[0];
        weights.map = read.linear(text(names.map), width, embedding);
    }
    for (index_t i = 0; i < model.layers; ++i) {
        std::string prefix = text(names.layer);
        if (const std::size_t number = prefix.find("{}"); number != std::string::npos) {
            prefix.replace(number, 2, std::to_string(i));
        }
        const index_t ffn = read.matrix(text(prefix, names.up) + ".weight").extents[0];
        const auto square = [&](std::string_view name) { return read.linear(text(prefix, name), width, width); };
        weights.layers.push_back({.query = square(names.query),
                                  .key = square(names.key),
                                  .value = square(names.value),
                                  .attended = square(names.attended),
                                  .attention_norm = read.norm(text(prefix, names.attention_norm), width),
                                  .up = read.linear(text(prefix, names.up), ffn, width),
                                  .down = read.linear(text(prefix, names.down), width, ffn),
                                  .output_norm = read.norm(text(prefix, names.output_norm), width)});
    }
    if (!names.head.empty()) {
        weights.head = head_weights{.dense = read.linear(text(names.head), embedding, width),
                                    .norm = read.norm(text(names.head_norm), embedding),
                                    .bias = read.vector(text(names.head_bias), weights.vocabulary())};
    }
    if (width % model.heads != 0) {
        throw unmask::file_error(file.name, "the width", std::to_string(width),
                                 "a multiple of the heads (" + std::to_string(model.heads) + ")");
    }
    return weights;
}

} // namespace pretrained
