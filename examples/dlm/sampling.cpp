// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Presets for models, compiled here and nowhere else.

#include "sampling.hpp"

#include <algorithm>
#include <memory>

#include "model/fast_dllm_v2.hpp"
#include "model/models.hpp"
#include "named_presets.hpp"

namespace dlm {

namespace {

using language_model::refuse;
using language_model::sampling_choice;
using language_model::text_sampler;

constexpr const char* for_both_ways = "llada, dream, fast_dllm, fast_dllm_factor, dinfer_credit, dinfer_hierarchy, "
                                      "sdar, llada2, llada21, klass, eb, mdlm, "
                                      "remdm";
constexpr const char* for_blocks = "sdar, llada2, llada21, fast_dllm";

template <class Model>
std::shared_ptr<Model> watched(const decoder& weights, const unmask::cpu_executor& exec,
                               unmask::sink_tracker* tracker) {
    auto model = std::make_shared<Model>(weights, exec);
    model->tracker = tracker;
    return model;
}

text_sampler in_blocks(const sampling_choice& given, const decoder& weights, const unmask::cpu_executor& exec,
                       unmask::sink_tracker* tracker) {
    const index_t block = weights.config().block;
    if (given.preset != "sdar" && given.preset != "llada2" && given.preset != "llada21" &&
        given.preset != "fast_dllm") {
        return {};
    }
    sampling_choice choice = given;
    if (choice.block.value_or(block) != block) {
        refuse("block", std::to_string(*choice.block), std::to_string(block) + ", in which the model was trained");
    }
    if (choice.cache != "none" && choice.cache != "exact") {
        refuse("cache", choice.cache, "exact, which this model has always");
    }
    choice.block = block;
    const auto model = watched<block_model>(weights, exec, tracker);
    const auto use = [&](const auto& sampler) { return language_model::guided(sampler, choice, exec, model); };
    if (choice.preset == "fast_dllm") {
        const fast_dllm_v2 selector{
            .probability = choice.threshold.value_or(0.9), .block = block, .part = std::min(index_t{8}, block)};
        return use(unmask::sampler{selector, unmask::confidence{unmask::score_from::shaped},
                                   language_model::draw_of(choice, choice.temperature > 0 ? 0.95 : 1.0)});
    }
    return language_model::with_block_preset(choice, use);
}

template <bool Shifts>
text_sampler both_ways(const sampling_choice& given, const decoder& weights, const unmask::cpu_executor& exec,
                       unmask::sink_tracker* tracker) {
    sampling_choice choice = given;
    if (choice.preset == "llada" && !choice.block) {
        choice.block = 32; // as its repository runs it
    }
    if (choice.cache != "none" && choice.cache != "prefix" && choice.cache != "dual") {
        refuse("cache", choice.cache, "none, prefix or dual");
    }
    const auto model = watched<bidirectional_model<Shifts>>(weights, exec, tracker);
    const auto use = [&](const auto& sampler) {
        return language_model::guided(sampler.with(language_model::chosen_cache::of(choice.cache)), choice, exec,
                                      model);
    };
    const text_sampler made = language_model::with_preset_of_both<text_sampler>(choice, use);
    return made ? made : language_model::with_preset_of_cpu(choice, use);
}

} // namespace

std::string preset_names(const model_config& config) {
    return config.block > 0 ? for_blocks : for_both_ways;
}

std::string preset_of(const model_config& config) {
    return config.family == "LLaDA"   ? "llada"
           : config.family == "Dream" ? "dream"
           : config.family == "SDAR"  ? "sdar"
                                      : "fast_dllm";
}

text_sampler make_sampler(const sampling_choice& choice, const decoder& weights, const unmask::cpu_executor& exec,
                          unmask::sink_tracker* tracker) {
    const model_config& config = weights.config();
    const text_sampler made = config.block > 0       ? in_blocks(choice, weights, exec, tracker)
                              : config.shifts_logits ? both_ways<true>(choice, weights, exec, tracker)
                                                     : both_ways<false>(choice, weights, exec, tracker);
    if (!made) {
        refuse("preset", choice.preset, "one of " + preset_names(config) + ", for " + config.family);
    }
    return made;
}

} // namespace dlm
