// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cuda_trainer.hpp"
#include "tokenizer.hpp"
#include "trainer.hpp"
#include "variant.hpp"

// A tiny model and its runs on both processors, for tests.

namespace language_model {

inline std::string proverbs() {
    std::string text;
    for (int i = 0; i < 40; ++i) {
        text += "a soft answer turneth away wrath: but grievous words stir up anger.\n";
    }
    return text;
}

struct tiny_training {
    tokenizer letters = tokenizer::of(proverbs());
    std::vector<token_t> text = letters.encode(proverbs());
    model_shape shape{.vocabulary = letters.size(), .width = 24, .layers = 2, .heads = 2, .ffn = 20};
    training_settings settings{
        .batch = 4,
        .length = 19,
        .pass = 2,
        .seed = 4,
        .optimizer = {.learning_rate = 1e-2, .final_learning_rate = 1e-3, .warm_up = 2, .steps = 40}};

    [[nodiscard]] batch_source batches() const { return batches_of_text(text, settings, letters.mask()); }
    [[nodiscard]] model_card card(const std::string& sink, index_t step) const {
        return {
            .shape = shape, .tokens = {letters.alphabet(), {}}, .sink = sink, .length = settings.length, .step = step};
    }

    /// A run on the GPU, with sequences that go through the model together.
    [[nodiscard]] cuda_trainer on_gpu(std::unique_ptr<device_trainer> device, const std::string& sink) const {
        std::vector<tensor_place> places;
        with_variant(sink, shape, [&](const auto& model) { places = model.places(); });
        return {std::move(device), std::move(places), shape, settings, batches()};
    }
    [[nodiscard]] device_training device() const { return {shape, settings.length, settings.pass}; }
};

/// The largest difference between two arrays, as a share of the largest number.
inline double apart(const std::vector<float>& a, const std::vector<float>& b) {
    double largest = 0.0;
    double difference = a.size() == b.size() ? 0.0 : INFINITY;
    for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
        largest = std::max(largest, std::abs(static_cast<double>(a[i])));
        const double here = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
        difference = here <= difference ? difference : here; // NaN is larger than anything
    }
    return difference / largest;
}

} // namespace language_model
