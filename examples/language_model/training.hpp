// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "adamw.hpp"
#include "batch.hpp"
#include "checkpoint.hpp"

namespace language_model {

/// What a training run sees. Two runs with equal settings take the same steps to the bit, whatever the threads.
struct training_settings {
    index_t batch = 16;   ///< sequences a step, a multiple of `pass`
    index_t length = 256; ///< characters a sequence; tokens, if a batch source makes others of them
    index_t pass = 2;     ///< sequences that go through the model together: as many as keep its activations in cache
    std::uint32_t seed = 1;
    index_t average = 0; ///< steps that the exponential mean of the weights looks back; 0: there is no mean
    optimizer_settings optimizer;
    weight_draw start = weight_draw::by_number;
};

/// The batch of a step, [batch, length] as the settings say. It must depend on the step alone.
using batch_source = std::function<training_batch(index_t step)>;

/// What one of several processes does of a run that they share: its part of every batch.
struct training_share {
    index_t rank = 0;
    index_t ranks = 1;
    /// Replaces the gradient and the loss of a rank's part by their sums over all ranks: the same bits on every rank.
    std::function<void(std::span<float> gradient, double& loss)> sum_over_ranks{};
    /// Gives all ranks the parts [ranks] of something, of which each has made its own.
    std::function<void(std::span<const std::span<float>> parts)> give_to_all{};
};

/// Windows of a text [characters], which must outlive the result, masked by a token. Throws std::invalid_argument if
/// the text is shorter than one.
inline batch_source batches_of_text(std::span<const token_t> text, const training_settings& settings, token_t mask) {
    if (std::ssize(text) < settings.length) {
        throw std::invalid_argument("trainer: the text is shorter than one sequence");
    }
    return [settings, text, mask](index_t step) {
        return make_batch(text, settings.batch, settings.length, mask, settings.seed, step);
    };
}

/// Writes everything the next step depends on: weights, moments, and the weights' mean if there is one. The metadata
/// says which step that is.
inline void save_state(const std::string& path, const std::vector<tensor_place>& places,
                       const std::vector<float>& weights, const std::vector<float>& first_moment,
                       const std::vector<float>& second_moment, const std::vector<float>& average,
                       const std::map<std::string, std::string>& metadata) {
    auto tensors = named(places, weights);
    const std::vector<index_t> all = {std::ssize(weights)};
    tensors["first_moment"] = tensor_values<float>{all, first_moment, {}};
    tensors["second_moment"] = tensor_values<float>{all, second_moment, {}};
    if (!average.empty()) {
        tensors["average"] = tensor_values<float>{all, average, {}};
    }
    write_safetensors(path, tensors, metadata);
}

/// One of the moments of a file that save_state wrote for so many weights.
inline std::vector<float> moment_of(const safetensors_file& file, const std::string& name,
                                    const std::vector<float>& weights) {
    const auto numbers = file.tensor(name, {std::ssize(weights)}).as<float>();
    return {numbers.values.begin(), numbers.values.end()};
}

} // namespace language_model
