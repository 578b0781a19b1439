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

/// The samplers that models were published with, by name; `.with(policy…)` changes or adds something. Where ours differs
/// it says so. For all of them: the mask token can't be drawn, every call commits something, steps and lengths need not
/// divide each other, draws are exact, and a sequence ends at its end token.
namespace presets {

struct llada_options {
    index_t steps = 128;        ///< in all; the blocks share them
    index_t block_length = 128; ///< positions
    double temperature = 0;     ///< of the draw; 0 is greedy
};

/// LLaDA's generate (arXiv 2502.09992): blocks from left to right, the same number of positions at each step, those
/// with the highest probability before temperature. `random_order{}` as the score is its remasking = random.
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
    double alg_temp = 0;      ///< above 0, positions are drawn from softmax(score / alg_temp) without replacement
    bool floor_quota = false; ///< round as the original does; see timesteps::floor_quota
};

/// Dream's diffusion_generate (arXiv 2508.15487) with alg = entropy; `margin{score_from::shaped}` as the score is
/// topk_margin, `confidence{score_from::shaped}` is maskgit_plus. Scores see the shaped probabilities, as in the original.
///
/// The model says by `shifts_logits` that its logits are one position ahead. Difference: quotas are per sequence, not a
/// mean over the batch, and add up exactly unless floor_quota.
template <class Score = negative_entropy>
constexpr auto dream(const dream_options& options = {}, const Score& order = {score_from::shaped}) {
    return sampler{timesteps{options.steps, options.epsilon, options.floor_quota}, noisy(order, options.alg_temp),
                   top_k{},
                   categorical{options.temperature, options.top_k, options.top_p, filter_order::top_p_then_top_k}};
}

/// Dream's diffusion_generate with alg = origin: the ancestral process. floor_quota and alg_temp have no meaning here.
constexpr auto dream_origin(const dream_options& options = {}) {
    return sampler{timesteps{options.steps, options.epsilon}, ancestral{},
                   categorical{options.temperature, options.top_k, options.top_p, filter_order::top_p_then_top_k}};
}

struct fast_dllm_options {
    double threshold = 0.9;    ///< a probability; of fast_dllm
    double factor = 1;         ///< of fast_dllm_factor
    index_t block_length = 32; ///< positions
    double temperature = 0;
};

/// Fast-dLLM with a threshold (arXiv 2505.22618, Section 3.3): at each call all tokens that are at least so probable, and
/// the surest. Its caches are asked for by name: `fast_dllm().with(dual_cache{})`.
constexpr auto fast_dllm(const fast_dllm_options& options = {}) {
    return sampler{block_length{options.block_length}, threshold{options.threshold},
                   categorical{.temperature = options.temperature}};
}

/// Fast-dLLM with a factor f: the n surest with (n + 1)(1 − cₙ) < f. Difference: the original's loop accepts the last
/// position although it failed.
constexpr auto fast_dllm_factor(const fast_dllm_options& options = {}) {
    return sampler{block_length{options.block_length}, factor{options.factor},
                   categorical{.temperature = options.temperature}};
}

struct dinfer_options {
    double threshold = 0.9;     ///< a probability
    double low_threshold = 0.4; ///< of dinfer_hierarchy: for the best of each run of masks
    index_t block_length = 32;  ///< positions
    double temperature = 0;
};

/// dInfer's credit decoding (arXiv 2510.08666): tokens that were the most likely one at earlier calls are favoured, then a
/// threshold. Difference: no slack of 1e-5 below the highest probability.
constexpr auto dinfer_credit(const dinfer_options& options = {}) {
    return sampler{block_length{options.block_length}, credit{}, threshold{options.threshold},
                   categorical{.temperature = options.temperature}};
}

/// dInfer's hierarchical decoding: the best of every run of masked positions if it is above the lower threshold, so that
/// runs are cut in the middle, and all above the higher one.
constexpr auto dinfer_hierarchy(const dinfer_options& options = {}) {
    return sampler{block_length{options.block_length}, hierarchical{options.low_threshold, options.threshold},
                   categorical{.temperature = options.temperature}};
}

struct block_options {
    index_t steps = 32; ///< of each block
    index_t block_length =
        32;                  ///< positions, counted from the beginning of the sequence; a block_denoiser knows its own
    double threshold = 0.95; ///< a probability
    double temperature = 0;
    index_t top_k = 0;
    double top_p = 1;
    double edit_threshold = 0.9; ///< of llada21
    index_t edit_rounds = 16;    ///< of llada21: calls that only edit, for each block
};

namespace detail {

// LLaDA2's policies and some more; `with` would be several times as slow to compile.
template <class... More>
constexpr auto llada2(const block_options& options, const More&... more) {
    return sampler{steps_per_block{options.steps}, block_length{options.block_length, block_origin::sequence},
                   confidence{score_from::shaped},
                   or_quota{threshold{options.threshold, score_from::shaped, /*strict=*/true}},
                   categorical{options.temperature, options.top_k, options.top_p}, more...};
}

} // namespace detail

/// LLaDA2.0 (arXiv 2512.15745): block by block, all tokens above the threshold if they are as many as scheduled, otherwise
/// the scheduled number of the surest. The end of a prompt shares the first block. Difference: the schedule divides the
/// masked positions of a block, not its length; with as many steps as positions, as published, it is the same.
constexpr auto llada2(const block_options& options = {}) {
    return detail::llada2(options);
}

/// LLaDA2.1: the same, and committed tokens of the block are edited. Prompts are not. Its speed mode has a threshold of 0.5
/// or so, its quality mode a high one.
constexpr auto llada21(const block_options& options = {}) {
    return detail::llada2(options, edit{.probability = options.edit_threshold, .rounds = options.edit_rounds});
}

/// SDAR's block_diffusion_generate (arXiv 2510.06303) with low_confidence_dynamic; published with blocks of 4 and as many
/// steps, threshold 0.85. The scores and probabilities are the shaped ones.
constexpr auto sdar(const block_options& options = {.steps = 4, .block_length = 4, .threshold = 0.85}) {
    return llada2(options);
}

struct klass_options {
    index_t steps = 256;
    index_t block_length = 64;
    double confidence = 0.9;  ///< a probability
    double divergence = 0.01; ///< nats
    index_t divergence_steps = 2;
    double temperature = 0;
};

/// KLASS (arXiv 2511.05664): tokens that are probable and whose distribution has stopped moving; if there are none, the
/// scheduled number of the surest. Differences: what the distribution did before its block began does not count, and
/// nothing stays masked when the steps are used up.
constexpr auto klass(const klass_options& options = {}) {
    return sampler{steps{options.steps}, block_length{options.block_length},
                   kl_stable{options.confidence, options.divergence, options.divergence_steps},
                   categorical{.temperature = options.temperature}};
}

struct eb_options {
    double gamma = 0.1; ///< nats
    index_t block_length = 32;
    double temperature = 0;
};

/// EB-Sampler (arXiv 2505.24857): in order of entropy, as many as have Σ H − the largest H ≤ γ. Other scores as the second
/// argument are its other error proxies.
template <class Score = negative_entropy>
constexpr auto eb(const eb_options& options = {}, const Score& order = {}) {
    return sampler{block_length{options.block_length}, order, entropy_bound{options.gamma},
                   categorical{.temperature = options.temperature}};
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

/// The same process in continuous time, one call for each position (arXiv 2409.02908).
constexpr auto mdlm_first_hitting(const mdlm_options& options = {}) {
    return sampler{first_hitting{}, categorical{.temperature = options.temperature}};
}

struct remdm_options {
    index_t steps = 1024;
    double top_p = 0.9;
};

/// ReMDM (arXiv 2503.00307): MDLM that masks committed tokens again, by one of remdm_cap, remdm_rescale, remdm_conf and
/// remdm_loop. Difference: top-p keeps the token that crosses p.
template <class Remasking = remdm_loop>
constexpr auto remdm(const remdm_options& options = {}, const Remasking& remasking = Remasking{}) {
    return sampler{steps{options.steps}, remasking, categorical{.top_p = options.top_p}};
}

struct wino_options {
    double wide = 0.6;   ///< a probability
    double narrow = 0.9; ///< a probability
    index_t block_length = 128;
    double temperature = 0;
};

/// WINO (arXiv 2507.18578). The model must be a shadow_denoiser.
constexpr auto wino(const wino_options& options = {}) {
    return sampler{block_length{options.block_length}, unmask::wino{options.wide, options.narrow},
                   categorical{.temperature = options.temperature}};
}

struct duo_options {
    index_t steps = 1000;
    bool greedy_tail = true;
};

/// Duo's ancestral sampler for models of uniform diffusion (arXiv 2506.10892).
constexpr auto duo(const duo_options& options = {}) {
    return sampler{steps{options.steps}, unmask::duo{options.greedy_tail}, categorical{}};
}

struct diffusion_gemma_options {
    index_t steps = 48;
    double hottest = 0.8; ///< temperature of the first step
    double coldest = 0.4; ///< what it falls to
    double entropy_bound = 0.1;
    index_t stable_calls = 1;
    double entropy = 0.005;
};

/// DiffusionGemma's loop for one canvas. Self-conditioning is the model's own affair.
constexpr auto diffusion_gemma(const diffusion_gemma_options& options = {}) {
    return sampler{steps{options.steps}, entropy_renoise{options.entropy_bound, options.stable_calls, options.entropy},
                   annealed_categorical{options.hottest, options.coldest}};
}

} // namespace presets

UNMASK_NAMESPACE_END
