// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Models of random weights, one for each description: against the formulas in double precision, and as denoisers.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include <unmask/error.hpp>
#include <unmask/mask/bidirectional.hpp>
#include <unmask/mask/extra_sink.hpp>
#include <unmask/sampler/sampler.hpp>

#include "denoiser.hpp"
#include "test_folded_token.hpp"
#include "test_made_model.hpp"
#include "test_scalar_encoder.hpp"

using namespace pretrained;

namespace {

const std::vector<token_t> text = {2, 7, 9, 4, 11, 24, 5, 5, 3, 18, 0};

std::vector<index_t> all_rows(std::size_t count) {
    return positions_from_0(count);
}

// The largest difference of two rows over the largest number of the second.
double relative_difference(const float* row, const row_of_doubles& expected) {
    double difference = 0.0;
    double scale = 0.0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
        const double here = std::abs(static_cast<double>(row[i]) - expected[i]);
        difference = here <= difference ? difference : here; // NaN is larger than anything
        scale = std::max(scale, std::abs(expected[i]));
    }
    return difference / scale;
}

template <class Mask>
void compare(const model_description& model, const Mask& mask) {
    const unmask::safetensors_file file = made_file(model, 5);
    const loaded_model loaded(file, model);
    encoder<> fast = loaded.make_encoder();
    const unmask::cpu_executor exec{1};
    const auto hidden = fast.forward(exec, text, positions_from_0(text.size()), mask);
    const scalar_encoder slow(file, model);
    const rows_of_doubles expected = slow.forward(text, [&](std::size_t q, std::size_t k) {
        return mask.visible(static_cast<index_t>(q), static_cast<index_t>(k));
    });
    for (std::size_t i = 0; i < text.size(); ++i) {
        CHECK(relative_difference(hidden.pointer(i), expected[i]) < 5e-5);
    }
    if (!loaded.weights.head) {
        std::vector<float> nothing(25);
        CHECK_THROWS_WITH_AS(fast.logits(exec, std::vector<index_t>{0}, unmask::view(nothing.data(), 1, 25)),
                             "encoder::logits: the model is minilm, expected one that predicts tokens",
                             unmask::invalid_argument);
        return;
    }
    std::vector<float> logits(text.size() * 25);
    fast.logits(exec, all_rows(text.size()), unmask::view(logits.data(), std::ssize(text), 25));
    for (std::size_t i = 0; i < text.size(); ++i) {
        CHECK(relative_difference(logits.data() + i * 25, slow.logits(expected[i])) < 5e-5);
    }
}

} // namespace

TEST_CASE("every architecture computes its formulas") {
    for (const model_description& model : models) {
        CAPTURE(model.name);
        compare(model, unmask::bidirectional{});
        compare(model, unmask::extra_sink<unmask::bidirectional>{.inner = {}, .position = 0, .count = 1});
    }
}

TEST_CASE("each layer's attention can be watched") {
    const loaded_model model(made_file(models[3], 1), models[3]);
    encoder<> fast = model.make_encoder();
    std::vector<index_t> seen;
    fast.forward(unmask::cpu_executor{1}, text, positions_from_0(text.size()), unmask::bidirectional{}, no_sinks{},
                 [&](index_t layer, const unmask::attention_tensors<float>& tensors, const auto&, const auto&) {
                     seen.push_back(layer);
                     CHECK(tensors.key.extents == std::array<index_t, 4>{1, std::ssize(text), 8, 4});
                     CHECK(std::isfinite(tensors.log_sum_exp(0, 7, 10)));
                 });
    CHECK(seen == all_rows(12));
}

TEST_CASE("a token that sees only itself folds into the layers' sinks") {
    for (const model_description& description : models) {
        CAPTURE(description.name);
        CHECK(difference_of_folding({made_file(description, 7), description}, text) < 5e-5);
    }
}

TEST_CASE("a denoiser gives the model's logits, whatever else is in the batch") {
    const loaded_model model(made_file(models[0], 2), models[0]);
    const std::vector<token_t> other = {0, unmask::blank, 6, 2};
    std::vector<token_t> blanked = text;
    blanked[1] = blanked[5] = unmask::blank;
    for (const int threads : {1, 2}) {
        encoder_denoiser denoiser(model, unmask::cpu_executor{threads});
        CHECK(denoiser.vocabulary().size == 25);
        CHECK(denoiser.vocabulary().mask == 24);
        unmask::canvas both(denoiser.vocabulary());
        both.add_infill(other);
        both.add_infill(blanked);
        std::vector<float> logits(3 * 25);
        denoiser.denoise(both, std::vector<unmask::row>{{0, 1}, {1, 1}, {1, 5}}, unmask::view(logits.data(), 3, 25));

        encoder<> alone = model.make_encoder();
        std::vector<token_t> masked = blanked;
        std::replace(masked.begin(), masked.end(), unmask::blank, model.tokens.mask());
        const unmask::cpu_executor one{1};
        alone.forward(one, masked, positions_from_0(masked.size()), unmask::bidirectional{});
        std::vector<float> expected(2 * 25);
        alone.logits(one, std::vector<index_t>{1, 5}, unmask::view(expected.data(), 2, 25));
        CHECK(std::equal(expected.begin(), expected.end(), logits.begin() + 25));
    }
}

TEST_CASE("what a model can't take is refused") {
    const model_description& sapiens = models[0];
    const loaded_model model(made_file(sapiens, 3), sapiens);
    encoder<> fast = model.make_encoder();
    CHECK(fast.longest() == 40);
    const auto complaint = [&](std::vector<token_t> tokens, std::vector<index_t> positions) -> std::string {
        try {
            fast.forward(unmask::cpu_executor{1}, tokens, positions, unmask::bidirectional{});
            return "";
        } catch (const unmask::invalid_argument& error) {
            return error.what();
        }
    };
    CHECK(complaint({1, 24}, {0, 39}).empty());
    CHECK(complaint({1, 25}, {0, 1}) == "encoder::forward: a token is 25, expected one of the vocabulary's 25");
    CHECK(complaint({-1}, {0}) == "encoder::forward: a token is -1, expected one of the vocabulary's 25");
    CHECK(complaint({1}, {40}) == "encoder::forward: a position is 40, expected one of the model's 40");
    CHECK(complaint({1}, {-1}) == "encoder::forward: a position is -1, expected one of the model's 40");
    CHECK(complaint({1}, {}) == "encoder::forward: positions.size() is 0, expected one for each token");
}

TEST_CASE("a file of another model is refused") {
    for (const model_description& model : models) {
        const unmask::safetensors_file whole = made_file(model, 4);
        for (const auto& [name, tensor] : whole.tensors) {
            CAPTURE(name);
            unmask::safetensors_file file = whole;
            file.tensors.erase(name);
            CHECK_THROWS_AS(loaded_model(file, model), unmask::file_error);
            unmask::stored_tensor longer = tensor;
            longer.shape.push_back(1); // another rank
            file.tensors[name] = longer;
            CHECK_THROWS_AS(loaded_model(file, model), unmask::file_error);
        }
        unmask::safetensors_file file = whole;
        file.metadata["tokens"] += "\nmore";
        CHECK_THROWS_AS(loaded_model(file, model), unmask::file_error);
        file.metadata["tokens"] = "a";
        CHECK_THROWS_AS(loaded_model(file, model), unmask::file_error);
        file.metadata.clear();
        CHECK_THROWS_AS(loaded_model(file, model), unmask::file_error);
    }
}
