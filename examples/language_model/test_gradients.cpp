// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// The gradient of a whole small model against central differences, for every tensor and every sink.

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "batch.hpp"
#include "test_gradient_check.hpp"
#include "variant.hpp"

using namespace language_model;

namespace {

constexpr model_shape small{.vocabulary = 11, .width = 24, .layers = 2, .heads = 3, .ffn = 20};
constexpr index_t sequences = 2;
constexpr index_t length = 13;

template <class Model>
void check_gradients(const Model& model) {
    std::vector<token_t> text(60);
    for (std::size_t i = 0; i < text.size(); ++i) {
        text[i] = static_cast<token_t>(i * i % 11);
    }
    const training_batch batch = make_batch(text, sequences, length, 11, 3, 5);
    REQUIRE(std::count(batch.tokens.begin(), batch.tokens.end(), 11) > 4);
    check_gradients(model, large_weights(model), batch, sequences);
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
    with_token.forward(cpu_layers{{1}}, from, tokens, token_work);

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
    folded.forward(cpu_layers{{1}}, to, tokens, folded_work);
    for (index_t i = 0; i < folded_work.logits.size(); ++i) {
        CHECK(folded_work.logits.data[i] == doctest::Approx(token_work.logits.data[i]).epsilon(1e-4));
    }
}
