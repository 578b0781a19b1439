// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/sampler/cache/cache.hpp>
#include <unmask/sampler/corruption/edit.hpp>
#include <unmask/sampler/corruption/remdm.hpp>
#include <unmask/sampler/corruption/uniform.hpp>
#include <unmask/sampler/corruption/wino.hpp>
#include <unmask/sampler/draw/annealed.hpp>
#include <unmask/sampler/draw/draw.hpp>
#include <unmask/sampler/logits/credit.hpp>
#include <unmask/sampler/sampler.hpp>
#include <unmask/sampler/schedule/schedule.hpp>
#include <unmask/sampler/score/noisy.hpp>
#include <unmask/sampler/score/score.hpp>
#include <unmask/sampler/selector/combine.hpp>
#include <unmask/sampler/selector/entropy_bound.hpp>
#include <unmask/sampler/selector/factor.hpp>
#include <unmask/sampler/selector/first_hitting.hpp>
#include <unmask/sampler/selector/hierarchical.hpp>
#include <unmask/sampler/selector/kl_stable.hpp>
#include <unmask/sampler/selector/selector.hpp>

UNMASK_NAMESPACE_BEGIN

/// Samplers that were published with models, by name; `.with(policy…)` replaces or adds policies. Each states where it
/// differs from the original. In addition, in all of them the mask token can't be drawn, every call commits at least
/// one token, steps and lengths need not divide each other, draws are exact, and a sequence ends at its end token.
namespace presets {

/// Options of llada.
struct llada_options {
    index_t steps = 128;        ///< total number, divided among the blocks
    index_t block_length = 128; ///< positions in a block
    double temperature = 0;     ///< of the draw; 0 is greedy
};

/// LLaDA's generate (arXiv 2502.09992): blocks from left to right; each step commits the same number of positions,
/// those with the highest probability before temperature. `random_order{}` as the score is its remasking = random.
template <class Score = confidence>
constexpr auto llada(const llada_options& options = {}, const Score& order = {}) {
    return sampler{steps{options.steps}, block_length{options.block_length}, order, top_k{},
                   categorical{.temperature = options.temperature}};
}

/// Options of dream and dream_origin.
struct dream_options {
    index_t steps = 512;      ///< total number
    double temperature = 0;   ///< of the draw; 0 is greedy
    double top_p = 1;         ///< applied first, as Dream does
    index_t top_k = 0;        ///< 0 for no such filter
    double epsilon = 1e-3;    ///< time at which the last step begins
    double alg_temp = 0;      ///< if positive, positions are drawn from softmax(score / alg_temp) without replacement
    bool floor_quota = false; ///< rounds as the original does; see timesteps::floor_quota
};

/// Dream's diffusion_generate (arXiv 2508.15487) with alg = entropy; `margin{score_from::shaped}` as the score is
/// topk_margin, `confidence{score_from::shaped}` is maskgit_plus. Scores read the shaped probabilities, as in the
/// original.
///
/// A model whose logits are one position ahead declares `shifts_logits`. Difference: quotas are per sequence, not a
/// mean over the batch, and add up exactly unless floor_quota is set.
template <class Score = negative_entropy>
constexpr auto dream(const dream_options& options = {}, const Score& order = {score_from::shaped}) {
    return sampler{timesteps{options.steps, options.epsilon, options.floor_quota}, noisy(order, options.alg_temp),
                   top_k{},
                   categorical{options.temperature, options.top_k, options.top_p, filter_order::top_p_then_top_k}};
}

/// Dream's diffusion_generate with alg = origin: the ancestral process. floor_quota and alg_temp have no effect.
constexpr auto dream_origin(const dream_options& options = {}) {
    return sampler{timesteps{options.steps, options.epsilon}, ancestral{},
                   categorical{options.temperature, options.top_k, options.top_p, filter_order::top_p_then_top_k}};
}

/// Options of fast_dllm and fast_dllm_factor.
struct fast_dllm_options {
    double threshold = 0.9;    ///< probability from which fast_dllm commits
    double factor = 1;         ///< f of fast_dllm_factor
    index_t block_length = 32; ///< positions in a block
    double temperature = 0;    ///< of the draw; 0 is greedy
};

/// Fast-dLLM with a threshold (arXiv 2505.22618, Section 3.3): each call commits all tokens with at least that
/// probability, and the surest token. Add its caches by name: `fast_dllm().with(dual_cache{})`.
constexpr auto fast_dllm(const fast_dllm_options& options = {}) {
    return sampler{block_length{options.block_length}, threshold{options.threshold},
                   categorical{.temperature = options.temperature}};
}

/// Fast-dLLM with a factor f: each call commits the n surest tokens with (n + 1)(1 − cₙ) < f. Difference: the
/// original's loop accepts the last position even if it fails the test.
constexpr auto fast_dllm_factor(const fast_dllm_options& options = {}) {
    return sampler{block_length{options.block_length}, factor{options.factor},
                   categorical{.temperature = options.temperature}};
}

/// Options of dinfer_credit and dinfer_hierarchy.
struct dinfer_options {
    double threshold = 0.9;     ///< probability from which tokens are committed
    double low_threshold = 0.4; ///< for dinfer_hierarchy: that for the best token of each run of masks
    index_t block_length = 32;  ///< positions in a block
    double temperature = 0;     ///< of the draw; 0 is greedy
};

/// dInfer's credit decoding (arXiv 2510.08666): a threshold, after raising the logits of tokens that were the most
/// likely at earlier calls. Difference: no slack of 1e-5 below the highest probability.
constexpr auto dinfer_credit(const dinfer_options& options = {}) {
    return sampler{block_length{options.block_length}, credit{}, threshold{options.threshold},
                   categorical{.temperature = options.temperature}};
}

/// dInfer's hierarchical decoding: each call commits all tokens above the higher threshold, and the best token of each
/// run of masked positions if it is above the lower one, which divides long runs.
constexpr auto dinfer_hierarchy(const dinfer_options& options = {}) {
    return sampler{block_length{options.block_length}, hierarchical{options.low_threshold, options.threshold},
                   categorical{.temperature = options.temperature}};
}

/// Options of llada2, llada21 and sdar.
struct block_options {
    index_t steps = 32;          ///< steps of each block
    index_t block_length = 32;   ///< positions in a block, counted from position 0; for a block_denoiser, the model's
    double threshold = 0.95;     ///< probability above which tokens are committed
    double temperature = 0;      ///< of the draw; 0 is greedy
    index_t top_k = 0;           ///< 0 for no such filter
    double top_p = 1;            ///< 1 for no such filter
    double edit_threshold = 0.9; ///< for llada21: probability above which tokens are edited
    index_t edit_rounds = 16;    ///< for llada21: most calls of a block that only edit
};

namespace detail {

// LLaDA2's policies and some more; `with` would be several times as slow to compile.
template <class... More>
constexpr auto llada2(const block_options& options, const More&... more) {
    return sampler{steps_per_block{options.steps},
                   block_length{options.block_length, block_origin::sequence},
                   confidence{score_from::shaped},
                   or_quota{threshold{options.threshold, score_from::shaped, /*strict=*/true}},
                   categorical{options.temperature, options.top_k, options.top_p},
                   more...};
}

} // namespace detail

/// LLaDA2.0 (arXiv 2512.15745): block by block, each call commits all tokens above the threshold if there are at least
/// as many as scheduled, otherwise the scheduled number of the surest. The end of a prompt is in the first block.
/// Difference: the schedule divides the masked positions of a block, not its length; with as many steps as positions,
/// as published, that is the same.
constexpr auto llada2(const block_options& options = {}) {
    return detail::llada2(options);
}

/// LLaDA2.1: llada2 that also edits committed tokens of the block, but not prompts. Its speed mode has a threshold of
/// about 0.5, its quality mode a high one.
constexpr auto llada21(const block_options& options = {}) {
    return detail::llada2(options, edit{.probability = options.edit_threshold, .rounds = options.edit_rounds});
}

/// SDAR's block_diffusion_generate (arXiv 2510.06303) with low_confidence_dynamic; published with blocks of 4, 4 steps
/// and threshold 0.85. Scores and probabilities are the shaped ones.
constexpr auto sdar(const block_options& options = {.steps = 4, .block_length = 4, .threshold = 0.85}) {
    return llada2(options);
}

/// Options of klass.
struct klass_options {
    index_t steps = 256;          ///< total number, divided among the blocks
    index_t block_length = 64;    ///< positions in a block
    double confidence = 0.9;      ///< least probability of a stable token
    double divergence = 0.01;     ///< largest divergence from the step before, in nats
    index_t divergence_steps = 2; ///< steps for which it must have been that small
    double temperature = 0;       ///< of the draw; 0 is greedy
};

/// KLASS (arXiv 2511.05664): each call commits probable tokens whose distribution has stopped changing; if there are
/// none, the scheduled number of the surest. Differences: changes of a distribution before its block began do not
/// count, and nothing stays masked after the last step.
constexpr auto klass(const klass_options& options = {}) {
    return sampler{steps{options.steps}, block_length{options.block_length},
                   kl_stable{options.confidence, options.divergence, options.divergence_steps},
                   categorical{.temperature = options.temperature}};
}

/// Options of eb.
struct eb_options {
    double gamma = 0.1;        ///< γ, in nats
    index_t block_length = 32; ///< positions in a block
    double temperature = 0;    ///< of the draw; 0 is greedy
};

/// EB-Sampler (arXiv 2505.24857): each call commits tokens in order of entropy, as many as have Σ H − the largest H ≤
/// γ. Other scores as the second argument give its other error proxies.
template <class Score = negative_entropy>
constexpr auto eb(const eb_options& options = {}, const Score& order = {}) {
    return sampler{block_length{options.block_length}, order, entropy_bound{options.gamma},
                   categorical{.temperature = options.temperature}};
}

/// Options of mdlm and mdlm_first_hitting.
struct mdlm_options {
    index_t steps = 1000;   ///< total number; mdlm_first_hitting has none
    double temperature = 1; ///< of the draw; 1 is the model's distribution
};

/// MDLM's ancestral sampler (arXiv 2406.07524) with the log-linear schedule, α_t = 1 − t. A separate Bernoulli draw
/// decides whether a position stays masked, instead of the draw of its token; steps that commit nothing make no call.
///
/// Difference: time runs from 1 to 0; the original stops at 1e-5 and then takes the most likely tokens.
constexpr auto mdlm(const mdlm_options& options = {}) {
    return sampler{steps{options.steps}, ancestral{}, categorical{.temperature = options.temperature}};
}

/// MDLM's process in continuous time, with one call for each position (arXiv 2409.02908).
constexpr auto mdlm_first_hitting(const mdlm_options& options = {}) {
    return sampler{first_hitting{}, categorical{.temperature = options.temperature}};
}

/// Options of remdm.
struct remdm_options {
    index_t steps = 1024; ///< total number
    double top_p = 0.9;   ///< of the draw; 1 for no such filter
};

/// ReMDM (arXiv 2503.00307): MDLM that also masks committed tokens again, by remdm_cap, remdm_rescale, remdm_conf or
/// remdm_loop. Difference: top-p keeps the token at which the sum reaches p.
template <class Remasking = remdm_loop>
constexpr auto remdm(const remdm_options& options = {}, const Remasking& remasking = Remasking{}) {
    return sampler{steps{options.steps}, remasking, categorical{.top_p = options.top_p}};
}

/// Options of wino.
struct wino_options {
    double wide = 0.6;          ///< probability from which tokens are committed
    double narrow = 0.9;        ///< probability below which tokens are masked again
    index_t block_length = 128; ///< positions in a block
    double temperature = 0;     ///< of the draw; 0 is greedy
};

/// WINO (arXiv 2507.18578): see unmask::wino. The model must be a shadow_denoiser.
constexpr auto wino(const wino_options& options = {}) {
    return sampler{block_length{options.block_length}, unmask::wino{options.wide, options.narrow},
                   categorical{.temperature = options.temperature}};
}

/// Options of duo.
struct duo_options {
    index_t steps = 1000;    ///< total number
    bool greedy_tail = true; ///< the last step takes the most likely tokens; otherwise the drawn ones
};

/// Duo's ancestral sampler for models of uniform diffusion (arXiv 2506.10892).
constexpr auto duo(const duo_options& options = {}) {
    return sampler{steps{options.steps}, unmask::duo{options.greedy_tail}, categorical{}};
}

/// Options of diffusion_gemma.
struct diffusion_gemma_options {
    index_t steps = 48;         ///< total number
    double hottest = 0.8;       ///< temperature of the first step
    double coldest = 0.4;       ///< temperature that the steps approach
    double entropy_bound = 0.1; ///< of the sum of entropies, in nats
    index_t stable_calls = 1;   ///< calls without change after which the canvas may be done
    double entropy = 0.005;     ///< mean entropy below which the canvas may be done, in nats
};

/// DiffusionGemma's loop for one canvas: see entropy_renoise. Self-conditioning is left to the model.
constexpr auto diffusion_gemma(const diffusion_gemma_options& options = {}) {
    return sampler{steps{options.steps}, entropy_renoise{options.entropy_bound, options.stable_calls, options.entropy},
                   annealed_categorical{options.hottest, options.coldest}};
}

} // namespace presets

UNMASK_NAMESPACE_END
