// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "generation.hpp"

#include <cstddef>
#include <string>

#include <unmask/sampler/logits/suppress_tokens.hpp>
#include <unmask/sampler/sampler.hpp>
#include <unmask/sampler/selector/entropy_bound.hpp>

namespace pretrained {

namespace {

// Does what use(selector) does with the settings' selector.
template <class Use>
auto with_selector(const generation_settings& settings, const Use& use) {
    switch (settings.selector) {
    case selection::threshold:
        return use(unmask::threshold{settings.bound});
    case selection::entropy_bound:
        return use(unmask::entropy_bound{settings.bound});
    default:
        return use(unmask::top_k{});
    }
}

// The same with the score that makes their order.
template <class Use>
auto with_score(const generation_settings& settings, const Use& use) {
    switch (settings.order) {
    case next_position::low_entropy:
        return use(unmask::negative_entropy{});
    case next_position::random:
        return use(unmask::random_order{});
    default:
        return use(unmask::confidence{});
    }
}

} // namespace

unmask::statistics generate(const generation_settings& settings, encoder_denoiser& denoiser, const loaded_model& model,
                            const unmask::cpu_executor& exec, unmask::canvas& page, std::uint64_t seed,
                            const step_observer& observer) {
    return with_selector(settings, [&](const auto& selector) {
        return with_score(settings, [&](const auto& score) {
            const unmask::sampler sampler{unmask::steps{settings.steps}, score, selector,
                                          unmask::categorical{.temperature = settings.temperature},
                                          unmask::suppress_tokens{model.tokens.special()}};
            return sampler(exec, denoiser, page, seed,
                           [&](const unmask::sampler_step& step) { return !observer || observer(step); });
        });
    });
}

unmask::canvas empty_antibodies(const loaded_model& model, index_t count) {
    unmask::canvas page({.size = static_cast<token_t>(model.tokens.size()), .mask = model.tokens.mask(), .end = {}});
    for (index_t i = 0; i < count; ++i) {
        page.add_infill(model.tokens.encode(std::string(static_cast<std::size_t>(115 + i * 7 % 11), blank_character)));
    }
    return page;
}

} // namespace pretrained
