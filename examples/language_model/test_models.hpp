// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/denoiser.hpp>

#include "checkpoint.hpp"
#include "variant.hpp"

// Small models of random weights for tests.

namespace language_model {

inline const std::string test_alphabet = "\n abcdefgh";

/// A checkpoint of random weights, for texts of 40 characters.
inline safetensors_file random_model(const std::string& sink, index_t layers = 2) {
    model_card card;
    card.tokens.alphabet = test_alphabet;
    card.sink = sink;
    card.length = 40;
    card.shape = {.vocabulary = 10, .width = 32, .layers = layers, .heads = 2, .ffn = 48};
    const std::string path = (std::filesystem::temp_directory_path() / "unmask_test_model.safetensors").string();
    with_variant(sink, card.shape, [&](const auto& model) {
        const auto weights = initial_weights(model.places(), card.shape, 7);
        write_safetensors(path, rounded(named(model.places(), weights)), to_metadata(card));
    });
    safetensors_file file = read_safetensors(path);
    std::filesystem::remove(path);
    return file;
}

/// The logits of some rows; `more` are further arguments of denoise.
template <class Model, class... More>
std::vector<float> logits_of(Model& model, const unmask::canvas& page, const std::vector<unmask::row>& rows,
                             index_t verified_rows, const More&... more) {
    const index_t count = std::ssize(rows) + verified_rows;
    std::vector<float> logits(static_cast<std::size_t>(count * model.vocabulary().size), std::nanf(""));
    model.denoise(page, rows, more..., unmask::view(logits.data(), count, model.vocabulary().size));
    return logits;
}

/// Every position of every sequence.
inline std::vector<unmask::row> all_rows(const unmask::canvas& page) {
    std::vector<unmask::row> rows;
    for (index_t sequence = 0; sequence < page.sequences(); ++sequence) {
        for (index_t position = 0; position < page.length(sequence); ++position) {
            rows.push_back({sequence, position});
        }
    }
    return rows;
}

inline double largest_difference(const float* a, const float* b, std::size_t count) {
    double largest = 0.0;
    for (std::size_t i = 0; i < count; ++i) {
        const double difference = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
        largest = difference <= largest ? largest : difference; // NaN is larger than anything
    }
    return largest;
}

} // namespace language_model
