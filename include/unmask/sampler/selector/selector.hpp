// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <string>

#include <unmask/config.hpp>
#include <unmask/error.hpp>
#include <unmask/numeric/exact_math.hpp>
#include <unmask/sampler/candidate.hpp>
#include <unmask/sampler/policies.hpp>
#include <unmask/sampler/selector/candidate_view.hpp>

UNMASK_NAMESPACE_BEGIN

/// The share of a step, by the schedule.
struct step_share {
    index_t quota = 0;      ///< number of positions to commit; may be 0 for a selector that runs before the model
    double probability = 0; ///< probability with which the ancestral process commits each masked position
};

/// A selector chooses the candidates of one sequence that a step commits. It is written once for all processors:
///
///     template <class Candidates>
///     UNMASK_HOST_DEVICE void choose(const Candidates& all, const step_share& share) const;
///
/// `all` is a candidate_view of the masked positions of the current block, none chosen; `choose` sets `chosen` on those
/// to be committed. If it chooses none, the one with the highest score is committed: every call makes progress. Numbers
/// that decide are computed by operations of exact_math.hpp, or two processors may decide differently.
///
/// Optional:
///
///   - `static constexpr int rankings`: the number of orders of the candidates that `ranked` and `choose_first` are
///     asked for; and `double rank_by(int n, const candidate&) const`, host and device: the number by which, falling,
///     the n-th of them is; without it, the score. Of equal numbers the lower position is first.
///   - `static constexpr bool before_model = true`: the selector is asked before the model is called, and sees `where`
///     and `random` alone. The model is then asked for the chosen rows only, and a step that chooses none makes no
///     call, except the last, which commits at least the first. On cuda_executor such a selector has no rankings.
///   - `index_t divergence_steps`, at least 1: candidate::divergence is filled in, which costs the memory of a row of
///     logits for every masked position.
template <class S>
concept selector_policy = sampling_policy<S> && requires(const S& selector, const detail::any_candidates& all,
                                                         const step_share& share) { selector.choose(all, share); };

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

// How many orders of the candidates a selector looks at, and by which number the n-th of them is.
template <class Selector>
inline constexpr int rankings_of = 0;
template <class Selector>
    requires requires { Selector::rankings; }
inline constexpr int rankings_of<Selector> = Selector::rankings;
template <class Selector>
UNMASK_HOST_DEVICE double rank_number(const Selector& selector, int n, const candidate& position) {
    if constexpr (requires { selector.rank_by(n, position); }) {
        return selector.rank_by(n, position);
    } else {
        return position.score.value;
    }
}

template <class Candidates>
UNMASK_HOST_DEVICE bool none_chosen(const Candidates& all) {
    return all.find_if([&](int i) { return all[i].chosen; }) == all.count();
}

inline void check_probability(const char* argument, double probability) {
    if (!(probability >= 0 && probability <= 1)) {
        throw invalid_argument("sampler", argument, std::to_string(probability), "in [0, 1]");
    }
}

} // namespace detail

/// Chooses the scheduled number of candidates, those with the highest scores.
struct top_k {
    static constexpr auto kind = policy_kind::selector;
    static constexpr int rankings = 1;

    template <class Candidates>
    UNMASK_HOST_DEVICE void choose(const Candidates& all, const step_share& share) const {
        all.choose_first(0, share.quota);
    }
};

/// Chooses all candidates whose token has at least this probability, whatever the schedule (Fast-dLLM, arXiv
/// 2505.22618). The number of steps does not bound the number of calls.
///
/// Logarithms are compared, without slack: a probability that is only rounded to 1 does not reach 1.
struct threshold {
    static constexpr auto kind = policy_kind::selector;
    double probability = 0.9;            ///< in [0, 1]
    score_from source = score_from::raw; ///< distribution that the probability is of
    bool strict = false;                 ///< true: more than this probability, as in LLaDA2 and SGLang

    void check() const { detail::check_probability("threshold.probability", probability); }

    template <class Candidates>
    UNMASK_HOST_DEVICE void choose(const Candidates& all, const step_share& /*share*/) const {
        const double bound = exact::log_of_probability(probability);
        all.for_each([&](int i) {
            const double value = all[i].log_probability(source);
            all[i].chosen = strict ? value > bound : value >= bound;
        });
    }
};

/// The reverse process of masked diffusion: every masked position is committed with probability 1 − s/t, independently
/// of the others and of its token (MDLM, arXiv 2406.07524, Eq. 7; Dream's origin). Scores are not used. The choice is
/// made before the model is called: steps at which nothing happens cost nothing, and only the rows of committed
/// positions are requested. The last step commits all that is left.
struct ancestral {
    static constexpr auto kind = policy_kind::selector;
    static constexpr bool before_model = true;

    template <class Candidates>
    UNMASK_HOST_DEVICE void choose(const Candidates& all, const step_share& share) const {
        all.for_each([&](int i) { all[i].chosen = all[i].random < share.probability; });
    }
};

UNMASK_NAMESPACE_END
