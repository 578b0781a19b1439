// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstdint>
#include <tuple>
#include <type_traits>

#include <unmask/config.hpp>
#include <unmask/executor/cpu_executor.hpp>
#include <unmask/executor/executor.hpp>
#include <unmask/sampler/cache/cache.hpp>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/corruption/corruption.hpp>
#include <unmask/sampler/denoiser.hpp>
#include <unmask/sampler/detail/policy_set.hpp>
#include <unmask/sampler/draw/draw.hpp>
#include <unmask/sampler/guidance/guidance.hpp>
#include <unmask/sampler/logits/logits_policy.hpp>
#include <unmask/sampler/observer.hpp>
#include <unmask/sampler/policies.hpp>
#include <unmask/sampler/sampler_backend.hpp>
#include <unmask/sampler/schedule/schedule.hpp>
#include <unmask/sampler/score/score.hpp>
#include <unmask/sampler/selector/selector.hpp>
#include <unmask/sampler/statistics.hpp>
#include <unmask/sampler/stop/stop.hpp>
#include <unmask/sampler/vocabulary.hpp>

UNMASK_NAMESPACE_BEGIN

template <class... Policies>
class sampler;

namespace detail {

// Not written in sampler::with: nvcc takes the name for the class that it is in.
struct make_sampler {
    template <class... Policies>
    constexpr sampler<Policies...> operator()(const Policies&... policies) const {
        return sampler<Policies...>(policies...);
    }
};

} // namespace detail

/// The diffusion sampler: fills the masked positions of a canvas, a few at each call of a model.
///
///     unmask::sampler sampler{unmask::steps{64}, unmask::block_length{32}, unmask::categorical{.temperature = 0.7}};
///     unmask::statistics result = sampler(unmask::cpu_executor{}, model, canvas, seed);
///
/// Policies come in any order, at most one of each kind; the defaults are steps{128}, block_length{} (one block, or the
/// model's), confidence{}, top_k{}, greedy{}, stop_at_end{}, absorbing{}, no_cache{}, and neither logits policy nor
/// guidance. Throws invalid_argument if a policy's parameters are wrong.
///
/// A value without state of its own: a const one can be used by many threads at once.
template <class... Policies>
class sampler {
    static_assert((sampling_policy<Policies> && ...),
                  "unmask::sampler: every argument must be a sampling policy, a type with a static member `kind`");
    static_assert(detail::at_most_one<policy_kind::schedule, Policies...>, "unmask::sampler: more than one schedule");
    static_assert(detail::at_most_one<policy_kind::blocks, Policies...>, "unmask::sampler: more than one block length");
    static_assert(detail::at_most_one<policy_kind::score, Policies...>, "unmask::sampler: more than one score");
    static_assert(detail::at_most_one<policy_kind::selector, Policies...>, "unmask::sampler: more than one selector");
    static_assert(detail::at_most_one<policy_kind::draw, Policies...>, "unmask::sampler: more than one draw");
    static_assert(detail::at_most_one<policy_kind::stop, Policies...>, "unmask::sampler: more than one stop rule");
    static_assert(detail::at_most_one<policy_kind::logits, Policies...>,
                  "unmask::sampler: more than one logits policy; logits_chain joins them");
    static_assert(detail::at_most_one<policy_kind::guidance, Policies...>, "unmask::sampler: more than one guidance");
    static_assert(detail::at_most_one<policy_kind::corruption, Policies...>,
                  "unmask::sampler: more than one corruption");
    static_assert(detail::at_most_one<policy_kind::cache, Policies...>, "unmask::sampler: more than one cache");

public:
    constexpr explicit sampler(Policies... policies)
        : given_{{policies}...}, policies_{detail::pick<policy_kind::schedule>(steps{}, policies...),
                                         detail::pick<policy_kind::blocks>(block_length{}, policies...),
                                         detail::pick<policy_kind::score>(confidence{}, policies...),
                                         detail::pick<policy_kind::selector>(top_k{}, policies...),
                                         detail::pick<policy_kind::draw>(greedy{}, policies...),
                                         detail::pick<policy_kind::stop>(stop_at_end{}, policies...),
                                         detail::pick<policy_kind::logits>(detail::no_policy<policy_kind::logits>{},
                                                                           policies...),
                                         detail::pick<policy_kind::guidance>(detail::no_policy<policy_kind::guidance>{},
                                                                             policies...),
                                         detail::pick<policy_kind::corruption>(absorbing{}, policies...),
                                         detail::pick<policy_kind::cache>(no_cache{}, policies...)} {
        (detail::check_policy(policies), ...);
    }

    /// The same sampler with these policies, in place of those of the same kind: a preset and something more,
    ///
    ///     unmask::presets::llada({.steps = 64}).with(unmask::guidance{1.5}, unmask::prefix_cache{})
    template <class... More>
    [[nodiscard]] constexpr auto with(const More&... more) const {
        return given_.apply([&](const Policies&... given) {
            return std::apply(detail::make_sampler{},
                              std::tuple_cat(unless_replaced<More...>(given)..., std::tuple(more...)));
        });
    }

    /// Fills the canvas. Each step calls model.denoise once, for the candidate rows of every unfinished sequence, and
    /// commits at least one token in each of them: the number of calls is at most the largest number of masked positions
    /// of a sequence, and corruption.extra_calls() for every block if the corruption is not absorbing. Runs on the calling
    /// thread, and on `exec` for the work on the logits; returns when all is done.
    ///
    /// With guidance the model gets a canvas of twice as many sequences, the second half without prompts, and the rows of
    /// both in one call. A block_denoiser's prefill and commit are called between.
    ///
    /// The tokens of a sequence depend on the seed, the sequence and its id, and the model: not on the batch, and not on
    /// the number of threads. The mask token is never drawn. A second run on the same canvas, after an observer ended
    /// the first, fills what is left; give it another seed.
    ///
    /// Throws invalid_argument, before any work, if the canvas was made for another vocabulary than the model's or
    /// block_length for other blocks, and non_finite_logits if the model writes NaN, +∞, or −∞ alone in a row that is
    /// needed, or leaves one out. Whatever is thrown, by the model and the observer too, the canvas is as it was before
    /// the run.
    ///
    /// Work besides the model: one pass over the requested logits; top-k and top-p take another over what may be kept.
    /// Memory: the requested logits; for a selector with divergence_steps, a row of logits for every position.
    ///
    /// On cuda_executor (include sampler/sampler.cuh) the model is a device_denoiser, and the canvas is copied to the GPU and,
    /// filled, back: the call returns when that is done. The steps in between are a CUDA graph that ends by itself (without
    /// CUDA 12.4, the host looks every 8 steps whether all is filled). Tokens are the same as on the CPU if the logits are.
    /// The observer is told of the steps after the run; if it ends it, later steps are not brought to the canvas. Time is
    /// not told apart by model and sampling. What the GPU does not have yet does not compile.
    template <class Executor, class Model, class Observer = no_observer>
    statistics operator()(const Executor& exec, Model&& model, canvas& page, std::uint64_t seed,
                          Observer&& observer = {}) const {
        using model_type = std::remove_reference_t<Model>;
        using observer_type = std::remove_reference_t<Observer>;
        detail::check_sampler_executor<Executor>();
        constexpr bool on_gpu = detail::runs_on_cuda<Executor>;
        constexpr bool model_on_gpu = detail::is_on_device<std::remove_const_t<model_type>>();
        static_assert(on_gpu || !model_on_gpu,
                      "unmask::sampler: the model lives on the GPU, and the executor does not: use cuda_executor");
        static_assert(!on_gpu || model_on_gpu,
                      "unmask::sampler: cuda_executor takes a model that lives on the GPU, a device_denoiser");
        if constexpr (!on_gpu && !model_on_gpu) {
            detail::check_denoiser<model_type>();
        }
        static_assert(
            sampler_observer<observer_type>,
            "unmask::sampler: the observer must be callable with const unmask::sampler_step& and return nothing "
            "or a bool");
        if constexpr (on_gpu && model_on_gpu && sampler_observer<observer_type>) {
            detail::check_same_vocabulary("sampler", model.vocabulary(), page.vocabulary());
            return sampler_backend<Executor>::run(exec, model, page, seed, policies_, observer);
        } else if constexpr (host_executor<Executor> && denoiser<model_type> && sampler_observer<observer_type>) {
            check_model<model_type>();
            detail::check_same_vocabulary("sampler", model.vocabulary(), page.vocabulary());
            if constexpr (block_denoiser<model_type>) {
                policy_set policies = policies_;
                policies.blocks = detail::blocks_of(policies_.blocks, index_t{model.block_length()});
                return sampler_backend<Executor>::run(exec, model, page, seed, policies, observer);
            } else {
                return sampler_backend<Executor>::run(exec, model, page, seed, policies_, observer);
            }
        } else {
            return {};
        }
    }

private:
    template <policy_kind Kind, class Default>
    using picked = detail::picked<Kind, Default, Policies...>;
    using policy_set =
        detail::policy_set<picked<policy_kind::schedule, steps>, picked<policy_kind::blocks, block_length>,
                           picked<policy_kind::score, confidence>, picked<policy_kind::selector, top_k>,
                           picked<policy_kind::draw, greedy>, picked<policy_kind::stop, stop_at_end>,
                           picked<policy_kind::logits, detail::no_policy<policy_kind::logits>>,
                           picked<policy_kind::guidance, detail::no_policy<policy_kind::guidance>>,
                           picked<policy_kind::corruption, absorbing>, picked<policy_kind::cache, no_cache>>;
    using corruption_type = typename policy_set::corruption_type;

    static_assert(schedule_policy<decltype(policy_set::schedule)>,
                  "unmask::sampler: a schedule needs count and masked_share(step, steps)");
    static_assert(score_policy<decltype(policy_set::score)>,
                  "unmask::sampler: a score needs unmask::score operator()(const unmask::candidate&) const");
    static_assert(
        selector_policy<decltype(policy_set::selector)>,
        "unmask::sampler: a selector needs operator()(std::span<unmask::candidate>, const unmask::step_share&) "
        "const");
    static_assert(draw_policy<decltype(policy_set::draw)>,
                  "unmask::sampler: a draw needs unmask::drawn operator()(std::span<const float>, const "
                  "unmask::row_statistics&, double, unmask::draw_scratch&) const");
    static_assert(stop_policy<decltype(policy_set::stop)>,
                  "unmask::sampler: a stop rule needs std::optional<unmask::index_t> operator()(const unmask::canvas&, "
                  "unmask::index_t) const");

    static_assert(!policy_set::changes_logits || logits_policy<typename policy_set::logits_type>,
                  "unmask::sampler: a logits policy needs operator()(const unmask::canvas&, unmask::row, "
                  "std::span<float>) const, with a memory& as a fourth parameter if it has a nested type memory");
    static_assert(!policy_set::guided || guidance_policy<decltype(policy_set::guidance)>,
                  "unmask::sampler: a guidance needs operator()(std::span<float>, std::span<const float>) const");
    static_assert(corruption_policy<corruption_type>,
                  "unmask::sampler: a corruption needs a nested type memory, index_t extra_calls(const "
                  "unmask::schedule_step&) const, and operator() or before(std::span<unmask::candidate>, const "
                  "unmask::corruption_step&, memory&) const");
    static_assert(!detail::takes_selectors_place<corruption_type>() ||
                      !((Policies::kind == policy_kind::selector) || ... || false),
                  "unmask::sampler: this corruption decides what is committed; there can be no selector beside it");
    static_assert(!detail::selects_before_model<typename policy_set::selector_type>() ||
                      std::is_same_v<corruption_type, absorbing>,
                  "unmask::sampler: a selector that runs before the model goes with absorbing corruption alone");

    template <class... More, class Policy>
    static constexpr auto unless_replaced(const Policy& policy) {
        if constexpr (((More::kind == Policy::kind) || ... || false)) {
            return std::tuple<>();
        } else {
            return std::tuple<Policy>(policy);
        }
    }

    // What the policies ask of a model besides being a denoiser.
    template <class Model>
    static constexpr void check_model() {
        static_assert(!detail::verifies<corruption_type>() || shadow_denoiser<Model>,
                      "unmask::sampler: this corruption verifies tokens, and the model is not a shadow_denoiser");
        static_assert(!detail::verifies<corruption_type>() ||
                          (!policy_set::guided && !detail::shifts_logits<std::remove_const_t<Model>>()),
                      "unmask::sampler: a corruption that verifies goes neither with guidance nor with shifted logits");
        static_assert(!block_denoiser<Model> || !detail::shifts_logits<std::remove_const_t<Model>>(),
                      "unmask::sampler: a block_denoiser can't shift its logits: the row of a block's first position "
                      "would be one that is kept");
        static_assert(!detail::is_approximate<typename policy_set::cache_type> || caching_denoiser<Model>,
                      "unmask::sampler: the model is not a caching_denoiser: it has no approximate cache");
        static_assert(!detail::is_approximate<typename policy_set::cache_type> || !block_denoiser<Model>,
                      "unmask::sampler: the model has an exact cache; no approximate one can be asked for");
        static_assert(!detail::is_approximate<typename policy_set::cache_type> || !detail::verifies<corruption_type>(),
                      "unmask::sampler: an approximate cache does not go with a corruption that verifies");
    }

    detail::given_policies<Policies...> given_;
    policy_set policies_;
};

UNMASK_NAMESPACE_END
