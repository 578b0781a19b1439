// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <string>
#include <type_traits>
#include <vector>

#include <unmask/random/philox.hpp>

#include "shape.hpp"
#include "sink_parameters.hpp"

namespace language_model {

/// The weights of one layer: views of memory that is owned elsewhere. T is what matrices are stored as that are
/// multiplied with activations.
template <class Sink, class T = float>
struct layer_weights {
    matrix attention_norm;         ///< [1, width]
    matrix_of<T> query_key_value;  ///< [width, 3 · width]
    matrix_of<T> attention_output; ///< [width, width]
    matrix_of<T> attention_gate;   ///< [width, width], if the shape has an output gate
    sink_parameters<Sink> sink;
    matrix feed_forward_norm; ///< [1, width]
    matrix_of<T> gate_up;     ///< [width, 2 · ffn]
    matrix_of<T> down;        ///< [ffn, width]
};

/// The weights of a model, or anything with one float a weight: gradients, moments. All of it lies in one array, in the
/// order of `each`, so that sums, updates and checkpoints need not know the model.
template <class Sink, class T = float>
struct model_weights {
    matrix embedding;      ///< [vocabulary + 1, width]; the last row is the mask's
    matrix sink_embedding; ///< [sink tokens, width]
    matrix left_neighbour; ///< [width, width], as the next, if the shape mixes neighbours
    matrix right_neighbour;
    std::vector<layer_weights<Sink, T>> layers;
    matrix final_norm; ///< [1, width]
    matrix_of<T> head; ///< [width, vocabulary]: neither the mask nor a sink can be predicted

    /// Calls visit(name, tensor, rows, columns, role) for every tensor, always in the same order.
    template <class Visit>
    void each(const model_shape& shape, index_t sinks, const Visit& visit) {
        layers.resize(static_cast<std::size_t>(shape.layers));
        visit("embedding", embedding, shape.vocabulary + 1, shape.width, role::embedding);
        if (sinks > 0) {
            visit("sink_embedding", sink_embedding, sinks, shape.width, role::embedding);
        }
        if (shape.mixes_neighbours) {
            visit("left_neighbour", left_neighbour, shape.width, shape.width, role::weight);
            visit("right_neighbour", right_neighbour, shape.width, shape.width, role::weight);
        }
        for (std::size_t i = 0; i < layers.size(); ++i) {
            layer_weights<Sink, T>& layer = layers[i];
            const std::string name = "layers." + std::to_string(i) + ".";
            visit(name + "attention_norm", layer.attention_norm, 1, shape.width, role::gain);
            visit(name + "query_key_value", layer.query_key_value, shape.width, 3 * shape.width, role::projections);
            visit(name + "attention_output", layer.attention_output, shape.width, shape.width, role::residual);
            if (shape.output_gate) {
                visit(name + "attention_gate", layer.attention_gate, shape.width, shape.width, role::weight);
            }
            layer.sink.each(name, shape, visit);
            visit(name + "feed_forward_norm", layer.feed_forward_norm, 1, shape.width, role::gain);
            visit(name + "gate_up", layer.gate_up, shape.width, 2 * shape.ffn, role::weight);
            visit(name + "down", layer.down, shape.ffn, shape.width, role::residual);
        }
        visit("final_norm", final_norm, 1, shape.width, role::gain);
        visit("head", head, shape.width, shape.vocabulary, role::head);
    }
};

/// One tensor of the array that holds a model's weights.
struct tensor_place {
    std::string name;
    index_t offset;
    index_t rows;
    index_t columns;
    role purpose;

    [[nodiscard]] index_t size() const { return rows * columns; }
};

/// Where every tensor of a model lies.
template <class Sink>
std::vector<tensor_place> places_of(const model_shape& shape, index_t sinks) {
    std::vector<tensor_place> places;
    index_t offset = 0;
    model_weights<Sink>{}.each(shape, sinks,
                               [&](std::string name, const auto&, index_t rows, index_t columns, role purpose) {
                                   places.push_back({std::move(name), offset, rows, columns, purpose});
                                   offset += rows * columns;
                               });
    return places;
}

/// The number of floats in the array.
inline index_t size_of(const std::vector<tensor_place>& places) {
    return places.empty() ? 0 : places.back().offset + places.back().size();
}

/// A part of the array of weights: of one tensor, and small enough to share the work.
struct weight_slice {
    index_t begin;
    index_t count;
    bool decays;
};

/// The slices of all tensors, each of up to `most` weights.
inline std::vector<weight_slice> slices_of(const std::vector<tensor_place>& places, index_t most) {
    std::vector<weight_slice> slices;
    for (const tensor_place& place : places) {
        for (index_t begin = 0; begin < place.size(); begin += most) {
            slices.push_back({place.offset + begin, std::min(most, place.size() - begin), decays(place.purpose)});
        }
    }
    return slices;
}

/// The same array as tensors with names. Where T is not float, what is multiplied with activations is taken from
/// another array of the same layout, `products`.
template <class Sink, class T = float>
model_weights<Sink, T> bind(const model_shape& shape, index_t sinks, float* memory, T* products = nullptr) {
    model_weights<Sink, T> weights;
    index_t offset = 0;
    weights.each(shape, sinks,
                 [&]<class E>(const std::string&, matrix_of<E>& tensor, index_t rows, index_t columns, role) {
                     if constexpr (std::is_same_v<E, float>) {
                         tensor = unmask::view(memory + offset, rows, columns);
                     } else {
                         tensor = unmask::view(products + offset, rows, columns);
                     }
                     offset += rows * columns;
                 });
    return weights;
}

/// What decides, with the seed, how a tensor starts: its number among the tensors, or its name. By name, the tensors
/// that two models have in common start alike.
enum class weight_draw { by_number, by_name };

namespace detail {
// FNV-1a.
inline std::uint32_t hash_of(const std::string& name) {
    std::uint32_t hash = 2166136261U;
    for (const char character : name) {
        hash = (hash ^ static_cast<unsigned char>(character)) * 16777619U;
    }
    return hash;
}
} // namespace detail

/// The start of training: normal numbers of variance 2 / (5 · width); those of the 2 · layers matrices that add to the
/// stream are divided by √(2 · layers). The same seed gives the same weights.
inline std::vector<float> initial_weights(const std::vector<tensor_place>& places, const model_shape& shape,
                                          std::uint32_t seed, weight_draw draw = weight_draw::by_number) {
    std::vector<float> weights(static_cast<std::size_t>(size_of(places)));
    const unmask::philox generator{{seed, 0x696e6974U}};
    const double deviation = std::sqrt(0.4 / static_cast<double>(shape.width));
    const double residual = deviation / std::sqrt(2.0 * static_cast<double>(shape.layers));
    for (std::size_t p = 0; p < places.size(); ++p) {
        const tensor_place& place = places[p];
        float* tensor = weights.data() + place.offset;
        const bool named = draw == weight_draw::by_name;
        const std::uint32_t number = named ? detail::hash_of(place.name) : static_cast<std::uint32_t>(p);
        for (index_t i = 0; i < place.size(); ++i) {
            if (place.purpose == role::gain || place.purpose == role::bias) {
                tensor[i] = place.purpose == role::gain ? 1.0F : 0.0F;
                continue;
            }
            const auto words = generator({static_cast<std::uint32_t>(i), number, named ? 1U : 0U, 0});
            const double radius = std::sqrt(-2.0 * std::log(unmask::uniform_open(words[0], words[1])));
            const double angle = 2.0 * std::numbers::pi * unmask::uniform_open(words[2], words[3]);
            const double scale = place.purpose == role::residual ? residual : deviation;
            tensor[i] = static_cast<float>(scale * radius * std::cos(angle));
        }
    }
    return weights;
}

} // namespace language_model
