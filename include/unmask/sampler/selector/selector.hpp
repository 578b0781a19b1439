// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <span>
#include <string>

#include <unmask/config.hpp>
#include <unmask/error.hpp>
#include <unmask/numeric/exact_math.hpp>
#include <unmask/sampler/candidate.hpp>
#include <unmask/sampler/detail/host/ranking.hpp>
#include <unmask/sampler/policies.hpp>

UNMASK_NAMESPACE_BEGIN

/// What the schedule says about a step.
struct step_share {
    index_t quota = 0;      ///< how many positions it is to commit; may be 0 for a selector that runs before the model
    double probability = 0; ///< the chance with which the ancestral process commits each masked position
};

/// A selector: which candidates of one sequence a step commits.
///
/// `void operator()(std::span<candidate>, const step_share&) const` gets the masked positions of the current block in
/// rising order, none chosen, and sets `chosen` on those to be committed; it must not reorder them. If it chooses none,
/// the one with the highest score is committed: every call makes progress.
///
/// One with `static constexpr bool before_model = true` is asked before the model is called and sees `where` and `random`
/// alone. The model is then asked for the chosen rows only, and a step that chooses none makes no call.
///
/// One with a member `index_t divergence_steps`, at least 1, finds candidate::divergence filled in, which costs the memory
/// of a row of probabilities for every masked position.
template <class S>
concept selector_policy = sampling_policy<S> &&
    requires(const S& selector, std::span<candidate> candidates, const step_share& share) {
    selector(candidates, share);
};

namespace detail {

template <class Selector>
constexpr bool selects_before_model() {
    if constexpr (requires { Selector::before_model; }) {
        return Selector::before_model;
    } else {
        return false;
    }
}

// How many past steps the divergence that a selector looks at covers; 0 if it looks at none.
template <class Selector>
constexpr index_t divergence_steps_of(const Selector& selector) {
    if constexpr (requires { selector.divergence_steps; }) {
        return selector.divergence_steps;
    } else {
        return 0;
    }
}

inline void check_probability(const char* argument, double probability) {
    if (!(probability >= 0 && probability <= 1)) {
        throw invalid_argument("sampler", argument, std::to_string(probability), "in [0, 1]");
    }
}

} // namespace detail

/// As many as the schedule says, those with the highest scores.
struct top_k {
    static constexpr auto kind = policy_kind::selector;

    void operator()(std::span<candidate> candidates, const step_share& share) const {
        detail::choose_best(candidates, share.quota);
    }
};

/// All whose token has at least this probability, however many the schedule says (Fast-dLLM, arXiv 2505.22618). The
/// schedule's number of steps does not bound the calls.
///
/// Logarithms are compared, without slack: a probability that is only rounded to 1 does not reach 1.
struct threshold {
    static constexpr auto kind = policy_kind::selector;
    double probability = 0.9;
    score_from source = score_from::raw;
    bool strict = false; ///< more than this probability, as LLaDA2 and SGLang have it

    void check() const { detail::check_probability("threshold.probability", probability); }

    void operator()(std::span<candidate> candidates, const step_share& /*share*/) const {
        const double bound = exact::log_of_probability(probability);
        for (candidate& position : candidates) {
            const double value = position.log_probability(source);
            position.chosen = strict ? value > bound : value >= bound;
        }
    }
};

/// The reverse process of masked diffusion: every masked position is committed with probability 1 − s/t, independently
/// of the others and of its token (MDLM, arXiv 2406.07524, Eq. 7; Dream's origin). Scores are not used. That is decided
/// before the model is called: steps at which nothing happens cost nothing, and only rows that are committed are asked
/// for. The last step commits all that is left.
struct ancestral {
    static constexpr auto kind = policy_kind::selector;
    static constexpr bool before_model = true;

    void operator()(std::span<candidate> candidates, const step_share& share) const {
        for (candidate& position : candidates) {
            position.chosen = position.random < share.probability;
        }
    }
};

UNMASK_NAMESPACE_END
