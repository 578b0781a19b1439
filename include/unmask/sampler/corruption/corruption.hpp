// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <concepts>
#include <span>

#include <unmask/config.hpp>
#include <unmask/sampler/candidate.hpp>
#include <unmask/sampler/policies.hpp>
#include <unmask/sampler/schedule/schedule.hpp>
#include <unmask/sampler/vocabulary.hpp>

UNMASK_NAMESPACE_BEGIN

/// A step of a sequence, as a corruption receives it.
struct corruption_step {
    schedule_step now;    ///< the step of the block; now.masked is 0 in a step after the last commitment
    double time = 1;      ///< diffusion time before the step, t: the schedule's masked share
    double next_time = 0; ///< diffusion time after the step, s; 0 in the last step
    vocabulary tokens;    ///< the model's tokens
};

namespace detail {

template <class C>
concept decides_before_model =
    requires(const C& corruption, std::span<candidate> positions, const corruption_step& step,
             typename C::memory& memory) { corruption.before(positions, step, memory); };
template <class C>
concept decides_after_model = requires(const C& corruption, std::span<candidate> positions, const corruption_step& step,
                                       typename C::memory& memory) { corruption(positions, step, memory); };

} // namespace detail

/// A corruption: the forward process that the model was trained to undo. It defines what a position holds before it is
/// final, and which changes a step makes besides commitments. It has
///
///   1. `memory`: a nested type, default-constructed for each block of a sequence, that is kept from step to step.
///   2. `extra_calls(now)`: the number of calls of the model that a block may take in addition to one for each of its
///      masked positions.
///   3. `operator()(positions, step, memory)`, which may be missing if there is `before`: called after the model and
///      the selector with the requested positions, in ascending order. Positions that the selector chose have `chosen`
///      set. Setting `change` overrides the selector: commit or renoise for a masked position, remask or edit for a
///      committed one, with the new token in `token`.
///
/// Optional, each off by default:
///
///   - `static constexpr bool uniform = true`: masked positions hold random tokens instead of the mask token.
///   - `static constexpr bool selects = true`: the corruption decides what is committed; the sampler then takes no
///     selector.
///   - `static constexpr bool reads_committed = true`: logits of the block's committed positions are requested, too,
///     and these are among `positions`. `verifies = true`: the same, but by the model's shadow block (see
///     shadow_denoiser).
///   - `before(positions, step, memory)`: called before the model with masked and committed positions, of which only
///     the random numbers are known; sets `chosen` for positions to be committed, and `change` to remask. Only the
///     chosen rows are then requested from the model, and a step that chooses none makes no call.
///   - `goes_on(step, memory)`: whether a block without masked positions has another step.
///
/// Every run ends: remasking is ignored where it would take more calls than extra_calls allows.
template <class C>
concept corruption_policy =
    sampling_policy<C> && requires(const C& corruption, const schedule_step& now, typename C::memory& memory) {
        { corruption.extra_calls(now) } -> std::convertible_to<index_t>;
    } && (detail::decides_before_model<C> || detail::decides_after_model<C>);

namespace detail {

template <class C>
constexpr bool is_uniform() {
    return requires { requires C::uniform; };
}
template <class C>
constexpr bool takes_selectors_place() {
    return requires { requires C::selects; };
}
template <class C>
constexpr bool reads_committed() {
    return requires { requires C::reads_committed; };
}
template <class C>
constexpr bool verifies() {
    return requires { requires C::verifies; };
}

} // namespace detail

/// Masked diffusion as models are trained: masked positions hold the mask token, and committed tokens stay.
struct absorbing {
    static constexpr auto kind = policy_kind::corruption;
    struct memory {};

    [[nodiscard]] index_t extra_calls(const schedule_step& /*now*/) const { return 0; }
    void operator()(std::span<candidate> /*positions*/, const corruption_step& /*step*/, memory& /*memory*/) const {}
};

UNMASK_NAMESPACE_END
