// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <memory>
#include <string>

#include <unmask/sampler/guidance/guidance.hpp>
#include <unmask/sampler/presets.hpp>

#include "sampling_choice.hpp"

// The presets as functions of their names. They cost much to compile: one file of a program includes this.

namespace language_model {

namespace presets = unmask::presets;

inline index_t steps_in_all(const sampling_choice& choice) {
    return choice.steps.value_or(std::max<index_t>(choice.masked, 1));
}

// Published values, unless the choice has others.
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

// Calls use(sampler) with a preset of block diffusion, if it is one.
template <class Use>
text_sampler with_block_preset(const sampling_choice& choice, const Use& use) {
    const presets::block_options options = block_options_of(choice);
    if (choice.preset == "sdar" || choice.preset == "llada2") { // which differ in their numbers alone
        return use(presets::llada2(options).with(draw_of(choice)));
    }
    if (choice.preset == "llada21") {
        return use(presets::llada21(options).with(draw_of(choice)));
    }
    return {};
}

// The same for the others, except wino.
template <class Use>
text_sampler with_preset(const sampling_choice& choice, const Use& use) {
    const std::string& name = choice.preset;
    const unmask::categorical draw = draw_of(choice);
    const index_t block = choice.block.value_or(32);
    const double threshold = choice.threshold.value_or(0.9);
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
    if (name == "dinfer_credit") {
        return use(presets::dinfer_credit({.threshold = threshold, .block_length = block}).with(draw));
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
    if (name == "remdm") {
        return use(presets::remdm({.steps = steps_in_all(choice)}).with(draw_of(choice, 0.9)));
    }
    return {};
}

template <class Sampler, class Model>
text_sampler bound(const Sampler& sampler, const unmask::cpu_executor& exec, const std::shared_ptr<Model>& model) {
    return [=](unmask::canvas& page, std::uint64_t seed, const step_observer& observer) {
        return sampler(exec, *model, page, seed, observer);
    };
}

// With the guidance that the choice asks for.
template <class Sampler, class Model>
text_sampler guided(const Sampler& sampler, const sampling_choice& choice, const unmask::cpu_executor& exec,
                    const std::shared_ptr<Model>& model) {
    return choice.guidance != 0 ? bound(sampler.with(unmask::guidance{choice.guidance}), exec, model)
                                : bound(sampler, exec, model);
}

} // namespace language_model
