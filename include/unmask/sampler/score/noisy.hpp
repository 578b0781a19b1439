// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <limits>
#include <string>
#include <utility>

#include <unmask/config.hpp>
#include <unmask/error.hpp>
#include <unmask/numeric/exact_math.hpp>
#include <unmask/sampler/candidate.hpp>
#include <unmask/sampler/policies.hpp>
#include <unmask/sampler/score/score.hpp>

UNMASK_NAMESPACE_BEGIN

/// A random order that prefers high scores: with `top_k`, positions are drawn without replacement from
/// softmax(c / temperature), as by Dream's alg_temp. c is the plain quantity, p, p₁ − p₂ or −H, not its logarithm.
///
/// Works by Gumbel noise, one number per position: the positions with the highest c + temperature · G are such a
/// sample. Temperature 0 gives the inner score itself. The noise comes from the random number that `random_order` and
/// `ancestral` also use, so don't combine it with these.
template <score_policy Score>
struct noisy {
    static constexpr auto kind = policy_kind::score;
    static constexpr bool inner_is_logarithmic =
        detail::is_logarithmic<Score>(); ///< true if `inner` is a logarithm of c
    Score inner;                         ///< the score without noise
    double temperature = 1;              ///< of the noise, at least 0

    /// The score `quiet` with noise of temperature `heat`.
    constexpr explicit noisy(Score quiet, double heat = 1) : inner(std::move(quiet)), temperature(heat) {}

    void check() const {
        detail::check_policy(inner);
        if (!(temperature >= 0 && temperature <= std::numeric_limits<double>::max())) {
            throw invalid_argument("sampler", "noisy.temperature", std::to_string(temperature),
                                   "at least 0 and finite");
        }
    }
    UNMASK_HOST_DEVICE score operator()(const candidate& position) const {
        const score quiet = inner(position);
        if (temperature == 0) {
            return quiet;
        }
        // Large noise comes from small random numbers, which are finely spaced: the tail isn't cut at the last bit of
        // 1.
        const double waited = -exact::log_of_1_minus(position.random);
        const double gumbel = -detail::log_of_sum(waited, 0);
        const double plain = inner_is_logarithmic ? exact::exp_nonpositive(quiet.value) : quiet.value;
        constexpr double hottest = 1e300; // from here on the noise alone counts, and more could overflow
        const double heat = temperature < hottest ? temperature : hottest;
        return {plain + exact::product_of(heat, gumbel)};
    }
};

UNMASK_NAMESPACE_END
