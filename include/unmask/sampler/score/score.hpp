// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <concepts>

#include <unmask/config.hpp>
#include <unmask/sampler/candidate.hpp>
#include <unmask/sampler/policies.hpp>

UNMASK_NAMESPACE_BEGIN

/// A score: how sure a position is, `score operator()(const candidate&) const`. NaN is an error.
///
/// Optional: `static constexpr bool logarithmic = true`, for a score that is the logarithm of the
/// quantity in the literature.
template <class S>
concept score_policy = sampling_policy<S> && requires(const S& policy, const candidate& position) {
    { policy(position) } -> std::same_as<score>;
};

namespace detail {

template <class Score>
constexpr bool is_logarithmic() {
    if constexpr (requires { Score::logarithmic; }) {
        return Score::logarithmic;
    } else {
        return false;
    }
}

} // namespace detail

/// log p of the drawn token: LLaDA's low_confidence, Dream's maskgit_plus. The logarithm still ranks positions whose
/// probabilities all round to 1.
struct confidence {
    static constexpr auto kind = policy_kind::score;
    static constexpr bool logarithmic = true;
    score_from source = score_from::raw; ///< the distribution that is read

    UNMASK_HOST_DEVICE score operator()(const candidate& position) const { return {position.log_probability(source)}; }
};

/// log(p₁ − p₂) of the two most likely tokens: Dream's topk_margin.
struct margin {
    static constexpr auto kind = policy_kind::score;
    static constexpr bool logarithmic = true;
    score_from source = score_from::raw; ///< the distribution that is read

    UNMASK_HOST_DEVICE score operator()(const candidate& position) const {
        return {position.statistics(source).log_margin()};
    }
};

/// −H = Σ p log p: the position with the lowest entropy comes first. Dream's entropy.
struct negative_entropy {
    static constexpr auto kind = policy_kind::score;
    score_from source = score_from::raw; ///< the distribution that is read

    UNMASK_HOST_DEVICE score operator()(const candidate& position) const {
        return {-position.statistics(source).entropy};
    }
};

/// A new uniform random number for each position and step: LLaDA's random.
struct random_order {
    static constexpr auto kind = policy_kind::score;

    UNMASK_HOST_DEVICE score operator()(const candidate& position) const { return {position.random}; }
};

UNMASK_NAMESPACE_END
