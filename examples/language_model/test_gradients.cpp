// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// The gradient of a whole small model against central differences, for every tensor and every sink.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "batch.hpp"
#include "loss.hpp"
#include "variant.hpp"

using namespace language_model;

namespace {

constexpr model_shape small{.vocabulary = 11, .width = 24, .layers = 2, .heads = 3, .ffn = 20};
constexpr index_t sequences = 2;
constexpr index_t length = 13;

template <class Model>
double loss_of(const Model& model, std::vector<float>& weights, const training_batch& batch, workspace& work) {
    model.forward(unmask::cpu_executor{1}, model.bound(weights.data()), batch.tokens, work);
    return weighted_cross_entropy(work.logits, batch.targets, batch.weights);
}

// Weights larger than training starts with, so that every part of the model matters and float noise does not.
template <class Model> std::vector<float> large_weights(const Model& model) {
    std::vector<float> weights = initial_weights(model.places(), small, 7);
    for (const tensor_place& place : model.places()) {
        for (index_t i = place.offset; i < place.offset + place.size(); ++i) {
            float& weight = weights[static_cast<std::size_t>(i)];
            const auto wave = static_cast<float>(std::sin(static_cast<double>(i)));
            weight = place.purpose == role::gain || place.purpose == role::bias ? weight + 0.3F * wave : 3.0F * weight;
        }
    }
    return weights;
}

template <class Model> void check_gradients(const Model& model) {
    std::vector<token_t> text(60);
    for (std::size_t i = 0; i < text.size(); ++i) {
        text[i] = static_cast<token_t>(i * i % 11);
    }
    const training_batch batch = make_batch(text, sequences, length, 11, 3, 5);
    REQUIRE(std::count(batch.tokens.begin(), batch.tokens.end(), 11) > 4);
    workspace work = model.make_workspace(sequences, length);
    std::vector<float> weights = large_weights(model);
    std::vector<float> gradients(weights.size(), 0.0F);
    loss_of(model, weights, batch, work);
    model.backward(unmask::cpu_executor{1}, model.bound(weights.data()), model.bound(gradients.data()), batch.tokens,
                   work);

    for (const tensor_place& place : model.places()) {
        // Along a direction: one number that depends on every element of the tensor.
        CAPTURE(place.name);
        for (const int direction : {1, 2, 3}) {
            std::vector<float> along(static_cast<std::size_t>(place.size()));
            double squares = 0.0;
            for (std::size_t i = 0; i < along.size(); ++i) {
                along[i] = static_cast<float>(std::cos(static_cast<double>(i) * 1.7 * direction + direction));
                squares += static_cast<double>(along[i]) * static_cast<double>(along[i]);
            }
            const double step = 0.02;
            const auto scale = static_cast<float>(step / std::sqrt(squares));
            double expected = 0.0;
            for (const int steps : {1, -1, 2, -2}) { // five-point stencil: the error falls with the fourth power
                std::vector<float> moved = weights;
                for (std::size_t i = 0; i < along.size(); ++i) {
                    moved[static_cast<std::size_t>(place.offset) + i] += static_cast<float>(steps) * scale * along[i];
                }
                const double factor = std::abs(steps) == 1 ? 8.0 / steps : -2.0 / steps;
                expected += factor * loss_of(model, moved, batch, work) / (12.0 * step);
            }
            double analytic = 0.0;
            double longest = 0.0;
            for (std::size_t i = 0; i < along.size(); ++i) {
                const double g = gradients[static_cast<std::size_t>(place.offset) + i];
                analytic += g * static_cast<double>(along[i]) / std::sqrt(squares);
                longest += g * g;
            }
            CAPTURE(direction);
            CHECK(longest > 0.0);
            CHECK(std::abs(analytic - expected) < 1e-4 + 0.01 * std::abs(expected));
        }
    }
}

} // namespace

TEST_CASE("gradients agree with central differences") {
    for (const std::string sink : {"none", "token", "off_by_one", "logit", "key", "key_value"}) {
        CAPTURE(sink);
        with_variant(sink, small, [](const auto& model) { check_gradients(model); });
    }
}

// The folded sink of the library and the token are one thing: a model with a token whose key and value in every layer
// are read off gives the same text as the model that has them as parameters.
TEST_CASE("a sink token and its folded key and value give the same logits") {
    using unmask::bidirectional;
    const transformer<unmask::extra_sink<bidirectional>> with_token(small, {.inner = {}, .position = 0, .count = 1});
    const transformer<bidirectional, unmask::key_value_sink> folded(small);
    std::vector<float> token_weights = large_weights(with_token);
    const auto from = with_token.bound(token_weights.data());
    workspace token_work = with_token.make_workspace(sequences, length);
    std::vector<token_t> tokens(static_cast<std::size_t>(sequences * length));
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        tokens[i] = static_cast<token_t>(i * 7 % 12);
    }
    with_token.forward(unmask::cpu_executor{1}, from, tokens, token_work);

    std::vector<float> folded_weights(static_cast<std::size_t>(folded.parameters()));
    for (const tensor_place& place : folded.places()) {
        const auto source = std::find_if(with_token.places().begin(), with_token.places().end(),
                                         [&](const tensor_place& other) { return other.name == place.name; });
        if (source != with_token.places().end()) {
            std::copy_n(token_weights.begin() + source->offset, place.size(), folded_weights.begin() + place.offset);
        }
    }
    const auto to = folded.bound(folded_weights.data());
    for (std::size_t i = 0; i < to.layers.size(); ++i) { // row 0 is the first sequence's sink
        const float* row = token_work.layers[i].query_key_value.data;
        std::copy_n(row + small.width, small.width, to.layers[i].sink.keys.data);
        std::copy_n(row + 2 * small.width, small.width, to.layers[i].sink.values.data);
    }
    workspace folded_work = folded.make_workspace(sequences, length);
    folded.forward(unmask::cpu_executor{1}, to, tokens, folded_work);
    for (index_t i = 0; i < folded_work.logits.size(); ++i) {
        CHECK(folded_work.logits.data[i] == doctest::Approx(token_work.logits.data[i]).epsilon(1e-4));
    }
}
