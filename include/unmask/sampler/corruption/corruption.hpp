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

/// What a corruption is told about a step of a sequence.
struct corruption_step {
    schedule_step now;    ///< of the block; now.masked is 0 in a step after the last commitment
    double time = 1;      ///< diffusion time before the step, t: the schedule's masked share
    double next_time = 0; ///< after it, s; 0 in the last step
    vocabulary tokens;
};

namespace detail {

template <class C>
concept decides_before_model = requires(const C& corruption, std::span<candidate> positions,
                                        const corruption_step& step, typename C::memory& memory) {
    corruption.before(positions, step, memory);
};
template <class C>
concept decides_after_model = requires(const C& corruption, std::span<candidate> positions, const corruption_step& step,
                                       typename C::memory& memory) {
    corruption(positions, step, memory);
};

} // namespace detail

/// A corruption: what a position that is not final looks like, and which changes besides commitments a step makes. The
/// forward process that the model was trained to undo.
///
///   1. `memory`: a nested type, made anew for every block of a sequence: what is remembered from step to step.
///   2. `extra_calls(now)`: how many calls of the model a block may take besides one for each of its masked positions.
///   3. `operator()(positions, step, memory)`, which may be missing if there is `before`: called after the model and the
///      selector with the positions that were asked for, in rising order. What the selector chose has `chosen`; setting
///      `change` overrules it: commit or renoise for a masked position, remask or edit for a committed one, with the new
///      token in `token`.
///
/// Optional, each off by default:
///
///   - `static constexpr bool uniform = true`: masked positions hold random tokens instead of the mask token.
///   - `static constexpr bool selects = true`: it decides what is committed; the sampler then takes no selector.
///   - `static constexpr bool reads_committed = true`: the model is also asked about the block's committed positions, and
///     they are among `positions`. `verifies = true`: the same, but by the model's shadow block (see shadow_denoiser).
///   - `before(positions, step, memory)`: called before the model with masked and committed positions, of which only
///     the random numbers are known; sets `chosen` for those to be committed, and `change` to remask. The model is
///     then asked for the chosen rows alone, and a step that chooses none makes no call.
///   - `goes_on(step, memory)`: whether a block with nothing masked has another step.
///
/// A run ends whatever a corruption does: remasking is ignored where it would take more calls than 2. allows.
template <class C>
concept corruption_policy = sampling_policy<C> &&
    requires(const C& corruption, const schedule_step& now, typename C::memory& memory) {
    { corruption.extra_calls(now) } -> std::convertible_to<index_t>;
} &&(detail::decides_before_model<C> || detail::decides_after_model<C>);

namespace detail {

template <class C>
constexpr bool is_uniform() {
    return requires {
        requires C::uniform;
    };
}
template <class C>
constexpr bool takes_selectors_place() {
    return requires {
        requires C::selects;
    };
}
template <class C>
constexpr bool reads_committed() {
    return requires {
        requires C::reads_committed;
    };
}
template <class C>
constexpr bool verifies() {
    return requires {
        requires C::verifies;
    };
}

} // namespace detail

/// Masked diffusion as it is trained: a masked position holds the mask token, and what is committed stays.
struct absorbing {
    static constexpr auto kind = policy_kind::corruption;
    struct memory {};

    [[nodiscard]] index_t extra_calls(const schedule_step& /*now*/) const { return 0; }
    void operator()(std::span<candidate> /*positions*/, const corruption_step& /*step*/, memory& /*memory*/) const {}
};

UNMASK_NAMESPACE_END
