// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include "common_options.hpp"
#include "sampling_choice.hpp"

namespace language_model {

/// How the options say to sample; where they say nothing, as the choice says already. `most` limits steps and blocks.
inline sampling_choice choice_of(examples::command_line& options, sampling_choice choice, index_t most) {
    const auto count = [&](const char* name) { return options.integer(name, 1, {1, most}); };
    const auto number = [&](const char* name) { return options.number(name, 1.0); };
    choice.preset = options.text("preset", choice.preset);
    choice.steps = examples::given(options, "steps", count);
    choice.block = examples::given(options, "block", count);
    choice.threshold = examples::given(options, "threshold", number);
    choice.temperature = options.number("temperature", choice.temperature);
    choice.top_k = options.integer("top-k", 0, {0});
    choice.top_p = examples::given(options, "top-p", number);
    choice.guidance = options.number("guidance", 0.0);
    choice.cache = options.text("cache", "none");
    return choice;
}

} // namespace language_model
