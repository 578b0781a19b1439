// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <unmask/sampler/canvas.hpp>

#include "command_line.hpp"
#include "model/model_config.hpp"
#include "prompt_options.hpp"
#include "sampling.hpp"
#include "sampling_options.hpp"
#include "tokenizer/tokenizer.hpp"

namespace dlm {

/// What a command line wants written, by which model.
struct request {
    std::string folder; ///< of the model
    model_config config;
    tokenizer words;
    language_model::sampling_choice choice;
    std::vector<token_t> prompt;
    std::uint64_t seed;

    /// A canvas with the prompt, and what is to be written still masked.
    [[nodiscard]] unmask::canvas page() const {
        unmask::canvas result({static_cast<token_t>(config.vocabulary), config.mask, config.end});
        result.add(prompt, choice.masked);
        return result;
    }

    /// The text that such a canvas has after the prompt.
    [[nodiscard]] std::string written_on(const unmask::canvas& page) const {
        const auto end = static_cast<std::size_t>(page.text_end(0));
        return words.decode(page.tokens(0).first(end).subspan(prompt.size()));
    }
};

/// Reads the options and, in the model's directory, all but its weights. Throws std::invalid_argument, in the words of
/// the command line, and what reading throws.
inline request request_of(examples::command_line& options) {
    constexpr index_t most_tokens = 1 << 20;
    const std::string folder = options.text("model", "");
    if (folder.empty()) {
        throw std::invalid_argument("--model is missing, expected a model's directory");
    }
    const model_config config = read_model_config(folder + "/config.json");
    tokenizer words(folder + "/tokenizer.json");
    const language_model::sampling_choice choice = language_model::choice_of(
        options,
        {.preset = preset_of(config), .masked = options.integer("length", 128, {1, most_tokens}), .temperature = 0.0},
        most_tokens);
    std::vector<token_t> prompt = prompt_of(options, config, words);
    const auto seed = static_cast<std::uint64_t>(options.integer("seed", 1));
    return {folder, config, std::move(words), choice, std::move(prompt), seed};
}

} // namespace dlm
