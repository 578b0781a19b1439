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
#include <unmask/sampler/detail/check_policies.hpp>
#include <unmask/sampler/detail/policy_set.hpp>
#include <unmask/sampler/detail/step/model_canvas.hpp>
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
    static constexpr bool policies_fit = detail::check_policies<Policies...>();
    static_assert(policies_fit || !policies_fit); // reports a wrong policy as soon as a sampler is made

public:
    /// A sampler with these policies. Throws invalid_argument if a parameter of one is wrong.
    constexpr explicit sampler(Policies... policies) : given_{{policies}...}, policies_(given_) {
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
    /// commits at least one token in each of them: the number of calls is at most the largest number of masked
    /// positions of a sequence, and corruption.extra_calls() for every block if the corruption is not absorbing. Runs
    /// on the calling thread, and on `exec` for the work on the logits; returns when all is done.
    ///
    /// With guidance the model gets a canvas of twice as many sequences, the second half without prompts and under ids
    /// of their own (see twin_id), and the rows of both in one call. A block_denoiser's prefill and commit are called
    /// between.
    ///
    /// The tokens of a sequence depend on the seed, the sequence and its id, and the model: not on the batch, and not
    /// on the number of threads. The mask token is never drawn. A second run on the same canvas, after an observer
    /// ended the first, fills what is left; give it another seed.
    ///
    /// Throws invalid_argument, before any work, if the canvas was made for another vocabulary than the model's,
    /// block_length for other blocks, or, with guidance, an id is 2^63 or more; and non_finite_logits if the model
    /// writes NaN, +∞, or −∞ alone in a row that is needed, or leaves one out. Whatever is thrown, by the model and the
    /// observer too, the canvas is as it was before the run.
    ///
    /// Work besides the model: one pass over the requested logits; top-k and top-p take another over what may be kept.
    /// Memory: the requested logits; for a selector with divergence_steps, a row of logits for every position.
    ///
    /// On cuda_executor (include sampler/sampler.cuh) the model is a device_denoiser, and the canvas is copied to the
    /// GPU and, filled, back: the call returns when that is done. The steps in between are a CUDA graph that ends by
    /// itself. Without CUDA 12.4, or if the model can't be recorded, the host enqueues them, a step ahead of the GPU:
    /// the last one then asks the model for no row. A device_sampler keeps memory and graph for further runs. Tokens
    /// are the same as on the CPU if the logits are. The observer is called while the run goes on, step by step, and
    /// can end it. seconds_in_model stays 0: time is not divided between model and sampling. Policies that do not run
    /// on the GPU yet are a compile error.
    template <class Executor, class Model, class Observer = no_observer>
    statistics operator()(const Executor& exec, Model&& model, canvas& page, std::uint64_t seed,
                          Observer&& observer = {}) const {
        using model_type = std::remove_reference_t<Model>;
        using observer_type = std::remove_reference_t<Observer>;
        if constexpr (check_call<Executor, model_type, observer_type>()) {
            detail::check_same_vocabulary("sampler", model.vocabulary(), page.vocabulary());
            if constexpr (policy_set::guided) {
                detail::check_ids_without_twins(page);
            }
            policy_set policies = policies_;
            if constexpr (block_denoiser<model_type>) {
                policies.blocks = detail::blocks_of(policies_.blocks, index_t{model.block_length()});
            }
            return sampler_backend<Executor>::run(exec, model, page, seed, policies, observer);
        } else {
            return {};
        }
    }

private:
    using policy_set = detail::policy_set<Policies...>;
    using corruption_type = typename policy_set::corruption_type;

    template <class... More, class Policy>
    static constexpr auto unless_replaced(const Policy& policy) {
        if constexpr ((detail::is_kind<More>(Policy::kind) || ... || false)) {
            return std::tuple<>();
        } else {
            return std::tuple<Policy>(policy);
        }
    }

    // Whether the call can run; if not, the compiler says the first thing that is wrong.
    template <class Executor, class Model, class Observer>
    static constexpr bool check_call() {
        if constexpr (!policies_fit) {
            return false;
        } else if constexpr (!detail::check_sampler_executor<Executor>()) {
            return false;
        } else if constexpr (!check_model<Executor, Model>()) {
            return false;
        } else {
            return detail::check_observer<Observer>();
        }
    }

    // Whether the model is one for the executor and the policies; if not, says why.
    template <class Executor, class Model>
    static constexpr bool check_model() {
        constexpr bool on_device = detail::is_on_device<std::remove_const_t<Model>>();
        constexpr bool verifies = detail::verifies<corruption_type>();
        constexpr bool shifts = detail::shifts_logits<std::remove_const_t<Model>>();
        constexpr bool approximates = detail::is_approximate<typename policy_set::cache_type>;
        if constexpr (on_device && host_executor<Executor>) {
            static_assert(detail::never<Model>,
                          "unmask::sampler: the model lives on the GPU, and the executor does not: "
                          "use cuda_executor");
        } else if constexpr (!on_device && detail::runs_on_cuda<Executor>) {
            static_assert(detail::never<Model>, "unmask::sampler: cuda_executor takes a model that lives on the GPU, a "
                                                "device_denoiser");
        } else if constexpr (!host_executor<Executor>) {
            return true; // the backend's business
        } else if constexpr (!detail::check_denoiser<Model>()) {
            return false;
        } else if constexpr (verifies && !shadow_denoiser<Model>) {
            static_assert(detail::never<Model>,
                          "unmask::sampler: this corruption verifies tokens, and the model is not "
                          "a shadow_denoiser");
        } else if constexpr (verifies && (policy_set::guided || shifts)) {
            static_assert(detail::never<Model>,
                          "unmask::sampler: a corruption that verifies goes neither with guidance "
                          "nor with shifted logits");
        } else if constexpr (block_denoiser<Model> && shifts) {
            static_assert(detail::never<Model>,
                          "unmask::sampler: a block_denoiser can't shift its logits: the row of a "
                          "block's first position would be one that is kept");
        } else if constexpr (approximates && !caching_denoiser<Model>) {
            static_assert(detail::never<Model>, "unmask::sampler: the model is not a caching_denoiser: it has no "
                                                "approximate cache");
        } else if constexpr (approximates && block_denoiser<Model>) {
            static_assert(detail::never<Model>, "unmask::sampler: the model has an exact cache; no approximate one can "
                                                "be asked for");
        } else if constexpr (approximates && verifies) {
            static_assert(detail::never<Model>, "unmask::sampler: an approximate cache does not go with a corruption "
                                                "that verifies");
        } else {
            return true;
        }
        return false;
    }

    detail::given_policies<Policies...> given_;
    policy_set policies_;
};

UNMASK_NAMESPACE_END
