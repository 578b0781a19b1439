// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/sampler/draw.hpp>
#include <unmask/sampler/sampler.hpp>
#include <unmask/sampler/schedule.hpp>
#include <unmask/sampler/score.hpp>
#include <unmask/sampler/selector.hpp>

UNMASK_NAMESPACE_BEGIN

/// The samplers that models were published with, by name. Where ours differs, it says so.
namespace presets {

struct llada_options {
    index_t steps = 128;        ///< in all; the blocks share them
    index_t block_length = 128; ///< positions
    double temperature = 0;     ///< of the draw; 0 is greedy
};

/// LLaDA's generate (arXiv 2502.09992): blocks from left to right, the same number of positions at each step, those
/// with the highest probability before temperature. `random_order{}` as the score is its remasking = random.
///
/// Differences: steps and lengths need not divide each other, the mask token can't be drawn, a sequence ends at its end
/// token, and draws are exact (the original's fp64 Gumbel noise has the same distribution).
template <class Score = confidence>
constexpr auto llada(const llada_options& options = {}, const Score& order = {}) {
    return sampler{steps{options.steps}, block_length{options.block_length}, order, top_k{},
                   categorical{.temperature = options.temperature}};
}

struct dream_options {
    index_t steps = 512;
    double temperature = 0;   ///< of the draw; 0 is greedy
    double top_p = 1;         ///< applied first, as Dream does
    index_t top_k = 0;        ///< 0: off
    double epsilon = 1e-3;    ///< the time that the last step begins at
    bool floor_quota = false; ///< round as the original does; see timesteps::floor_quota
};

/// Dream's diffusion_generate (arXiv 2508.15487) with alg = entropy; `margin{score_from::shaped}` as the score is
/// topk_margin, `confidence{score_from::shaped}` is maskgit_plus. Scores see the shaped probabilities, as in the original.
///
/// The model says by `shifts_logits` that its logits are one position ahead. Differences: quotas are per sequence, not a
/// mean over the batch, and add up exactly unless floor_quota; a sequence ends at its end token. There is no alg_temp.
template <class Score = negative_entropy>
constexpr auto dream(const dream_options& options = {}, const Score& order = {score_from::shaped}) {
    return sampler{timesteps{options.steps, options.epsilon, options.floor_quota}, order, top_k{},
                   categorical{options.temperature, options.top_k, options.top_p, filter_order::top_p_then_top_k}};
}

/// Dream's diffusion_generate with alg = origin: the ancestral process. floor_quota has no meaning here.
constexpr auto dream_origin(const dream_options& options = {}) {
    return sampler{timesteps{options.steps, options.epsilon}, ancestral{},
                   categorical{options.temperature, options.top_k, options.top_p, filter_order::top_p_then_top_k}};
}

struct mdlm_options {
    index_t steps = 1000;
    double temperature = 1; ///< 1 is the model's distribution
};

/// MDLM's ancestral sampler (arXiv 2406.07524) with the log-linear schedule, α_t = 1 − t. Staying masked is decided by one
/// Bernoulli draw of its own, not inside the draw of the token, and steps at which nothing happens make no call.
///
/// Difference: time goes from 1 to 0; the original stops at 1e-5 and takes the most likely token for what is left.
constexpr auto mdlm(const mdlm_options& options = {}) {
    return sampler{steps{options.steps}, ancestral{}, categorical{.temperature = options.temperature}};
}

} // namespace presets

UNMASK_NAMESPACE_END
