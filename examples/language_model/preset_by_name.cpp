// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Every preset, compiled here and nowhere else.

#include "preset_by_name.hpp"

#include <algorithm>
#include <memory>
#include <string>

#include "block_denoiser.hpp"
#include "named_presets.hpp"

namespace language_model {

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
    text_sampler result = with_preset_of_both<text_sampler>(choice, use);
    if (!result) {
        result = with_preset_of_cpu(choice, use);
    }
    if (!result) {
        refuse("preset", choice.preset, std::string("one of ") + preset_names);
    }
    return result;
}

} // namespace language_model
