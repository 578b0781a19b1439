// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>

#include <unmask/sampler/draw/draw.hpp>
#include <unmask/sampler/presets.hpp>

#include "sampling_choice.hpp"

// The samplers that a choice names, as types.

namespace language_model {

namespace presets = unmask::presets;

/// How a token is drawn, if a preset has this top-p.
inline unmask::categorical draw_of(const sampling_choice& choice, double top_p = 1.0) {
    return {.temperature = choice.temperature, .top_k = choice.top_k, .top_p = choice.top_p.value_or(top_p)};
}

inline index_t steps_in_all(const sampling_choice& choice) {
    return choice.steps.value_or(std::max<index_t>(choice.masked, 1));
}

/// Published values, unless the choice has others.
inline presets::block_options block_options_of(const sampling_choice& choice) {
    presets::block_options options;
    if (choice.preset == "sdar") {
        options = {.steps = 4, .block_length = 4, .threshold = 0.85};
    }
    options.steps = choice.steps.value_or(choice.block.value_or(options.steps));
    options.block_length = choice.block.value_or(options.block_length);
    options.threshold = choice.threshold.value_or(options.threshold);
    return options;
}

/// Calls use(sampler) with a preset that runs on the GPU as well, if it is one. Use returns something that is false if
/// it is not called.
template <class Result, class Use>
Result with_preset_of_both(const sampling_choice& choice, const Use& use) {
    const std::string& name = choice.preset;
    const unmask::categorical draw = draw_of(choice);
    const index_t block = choice.block.value_or(32);
    const double threshold = choice.threshold.value_or(0.9);
    if (name == "sdar" || name == "llada2") { // which differ in their numbers alone
        return use(presets::llada2(block_options_of(choice)).with(draw));
    }
    if (name == "llada") {
        return use(
            presets::llada({.steps = steps_in_all(choice), .block_length = choice.block.value_or(8)}).with(draw));
    }
    if (name == "dream") {
        return use(presets::dream({.steps = steps_in_all(choice),
                                   .temperature = draw.temperature,
                                   .top_p = draw.top_p,
                                   .top_k = draw.top_k}));
    }
    if (name == "fast_dllm") {
        return use(presets::fast_dllm({.threshold = threshold, .block_length = block}).with(draw));
    }
    if (name == "fast_dllm_factor") {
        return use(presets::fast_dllm_factor({.block_length = block}).with(draw));
    }
    if (name == "dinfer_hierarchy") {
        return use(presets::dinfer_hierarchy({.threshold = threshold, .block_length = block}).with(draw));
    }
    if (name == "klass") {
        return use(
            presets::klass(
                {.steps = steps_in_all(choice), .block_length = choice.block.value_or(64), .confidence = threshold})
                .with(draw));
    }
    if (name == "eb") {
        return use(presets::eb({.block_length = block}).with(draw));
    }
    if (name == "mdlm") {
        return use(presets::mdlm({.steps = steps_in_all(choice)}).with(draw));
    }
    return {};
}

} // namespace language_model
