// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Every preset, compiled here and nowhere else.

#include "preset_by_name.hpp"

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string>

#include <unmask/sampler/guidance/guidance.hpp>
#include <unmask/sampler/presets.hpp>

#include "block_denoiser.hpp"

namespace language_model {

namespace {

namespace presets = unmask::presets;

index_t steps_in_all(const sampling_choice& choice) {
    return choice.steps.value_or(std::max<index_t>(choice.masked, 1));
}

// Published values, unless the choice has others.
presets::block_options block_options_of(const sampling_choice& choice) {
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

[[noreturn]] void refuse(const std::string& option, const std::string& was, const std::string& expected) {
    throw std::invalid_argument("--" + option + " is '" + was + "', expected " + expected);
}

void check(const sampling_choice& choice) {
    const std::string& name = choice.preset;
    if (name == "duo" || name == "diffusion_gemma") {
        refuse("preset", name, "another one: it needs a model that was trained with uniform noise, not with masks");
    }
    const auto is_one_of = [](const std::string& which, std::initializer_list<const char*> names) {
        return std::find(names.begin(), names.end(), which) != names.end();
    };
    if (!is_one_of(choice.cache, {"none", "exact", "prefix", "dual"})) {
        refuse("cache", choice.cache, "none, exact, prefix or dual");
    }
    if (choice.cache == "exact" && !is_one_of(name, {"sdar", "llada2", "llada21"})) {
        refuse("cache", "exact", "--preset sdar, llada2 or llada21, whose models do not look ahead of a block");
    }
    if (name == "wino" && (choice.cache != "none" || choice.guidance != 0)) {
        refuse("preset", "wino", "neither a cache nor guidance: it verifies with a shadow block");
    }
    if (choice.threshold &&
        !is_one_of(name, {"fast_dllm", "dinfer_credit", "dinfer_hierarchy", "sdar", "llada2", "llada21", "klass"})) {
        refuse("preset", name, "one with a threshold");
    }
}

} // namespace

text_sampler make_sampler(const sampling_choice& choice, const unmask::cpu_executor& exec,
                          language_model_denoiser& model, const safetensors_file& file) {
    check(choice);
    if (choice.cache == "exact") {
        const auto blocks =
            std::make_shared<block_language_model>(file, exec, block_options_of(choice).block_length, model.longest());
        return with_block_preset(choice, [&](const auto& sampler) { return guided(sampler, choice, exec, blocks); });
    }
    const std::shared_ptr<language_model_denoiser> same(std::shared_ptr<void>(), &model); // not owned
    if (choice.preset == "wino") {
        const index_t block = choice.block.value_or(presets::wino_options{}.block_length);
        return bound(presets::wino({.block_length = block}).with(draw_of(choice)), exec, same);
    }
    const auto use = [&](const auto& sampler) {
        return guided(sampler.with(chosen_cache::of(choice.cache)), choice, exec, same);
    };
    text_sampler result = with_block_preset(choice, use);
    if (!result) {
        result = with_preset(choice, use);
    }
    if (!result) {
        refuse("preset", choice.preset, std::string("one of ") + preset_names);
    }
    return result;
}

} // namespace language_model
