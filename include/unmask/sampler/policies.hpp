// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <concepts>

#include <unmask/config.hpp>

UNMASK_NAMESPACE_BEGIN

/// The kind of a sampling policy: the question that it decides. A policy declares its kind,
///
///     static constexpr auto kind = unmask::policy_kind::score;
///
/// and has the members that the concept of that kind requires: schedule_policy, score_policy, selector_policy,
/// draw_policy, stop_policy, logits_policy, guidance_policy, corruption_policy.
///
/// Optional: `void check() const`, which throws invalid_argument if a parameter is out of range. The constructor of the
/// sampler calls it.
enum class policy_kind {
    schedule,   ///< how many steps, and how many positions each commits
    blocks,     ///< the parts of a sequence that are filled one after another
    score,      ///< how sure each position is
    selector,   ///< which positions a step commits
    draw,       ///< which token a position gets
    stop,       ///< when a sequence is done although positions are still masked
    logits,     ///< changes to logits before anything else reads them
    guidance,   ///< how logits with and without the prompt are combined
    corruption, ///< what open positions hold, and how positions become open again
    cache,      ///< what a model may reuse from earlier calls
};

/// A sampling policy of any kind.
template <class P>
concept sampling_policy = requires {
    { P::kind } -> std::convertible_to<policy_kind>;
};

namespace detail {

// The default of a kind that is optional in a sampler.
template <policy_kind Kind>
struct no_policy {
    static constexpr auto kind = Kind;
};

// Whether P is a policy, and of this kind.
template <class P>
constexpr bool is_kind(policy_kind kind) {
    if constexpr (sampling_policy<P>) {
        return P::kind == kind;
    } else {
        return false;
    }
}

template <class Policy>
constexpr void check_policy(const Policy& policy) {
    if constexpr (requires { policy.check(); }) {
        policy.check();
    }
}

} // namespace detail

UNMASK_NAMESPACE_END
