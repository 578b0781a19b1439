// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <memory>

#include <unmask/executor/cpu_executor.hpp>
#include <unmask/sampler/guidance/guidance.hpp>
#include <unmask/sampler/presets.hpp>

#include "choice_presets.hpp"
#include "text_sampler.hpp"

// The samplers that a choice names, on the CPU. They cost much to compile: one file of a program includes this.

namespace language_model {

/// Calls use(sampler) with a preset of block diffusion, if it is one.
template <class Use>
text_sampler with_block_preset(const sampling_choice& choice, const Use& use) {
    if (choice.preset == "llada21") {
        return use(presets::llada21(block_options_of(choice)).with(draw_of(choice)));
    }
    return choice.preset == "sdar" || choice.preset == "llada2"
               ? use(presets::llada2(block_options_of(choice)).with(draw_of(choice)))
               : text_sampler();
}

/// The same for those that run on the CPU alone, except wino.
template <class Use>
text_sampler with_preset_of_cpu(const sampling_choice& choice, const Use& use) {
    if (choice.preset == "llada21") {
        return with_block_preset(choice, use);
    }
    if (choice.preset == "dinfer_credit") {
        const presets::dinfer_options options{.threshold = choice.threshold.value_or(0.9),
                                              .block_length = choice.block.value_or(32)};
        return use(presets::dinfer_credit(options).with(draw_of(choice)));
    }
    if (choice.preset == "remdm") {
        return use(presets::remdm({.steps = steps_in_all(choice)}).with(draw_of(choice, 0.9)));
    }
    return {};
}

/// A sampler and a model as one.
template <class Sampler, class Model>
text_sampler bound(const Sampler& sampler, const unmask::cpu_executor& exec, const std::shared_ptr<Model>& model) {
    return [=](unmask::canvas& page, std::uint64_t seed, const step_observer& observer) {
        return sampler(exec, *model, page, seed, observer);
    };
}

/// With the guidance that the choice asks for.
template <class Sampler, class Model>
text_sampler guided(const Sampler& sampler, const sampling_choice& choice, const unmask::cpu_executor& exec,
                    const std::shared_ptr<Model>& model) {
    return choice.guidance != 0 ? bound(sampler.with(unmask::guidance{choice.guidance}), exec, model)
                                : bound(sampler, exec, model);
}

} // namespace language_model
