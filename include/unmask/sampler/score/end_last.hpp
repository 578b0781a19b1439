// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <string>
#include <utility>

#include <unmask/config.hpp>
#include <unmask/error.hpp>
#include <unmask/numeric/detail/base_2.hpp>
#include <unmask/sampler/candidate.hpp>
#include <unmask/sampler/policies.hpp>
#include <unmask/sampler/score/score.hpp>
#include <unmask/tensor/tensor_view.hpp>

UNMASK_NAMESPACE_BEGIN

/// Ranks positions whose drawn token is one of `ends` after all other positions, so that a model trained with end
/// tokens as padding doesn't end the text at once: the purpose of LLaDA's confidence_eos_eot_inf.
///
///     end_last{confidence{}, 126081, 126348}
///
/// The original changes the logits of one token after the draw and gives the other a confidence of 0, not −∞ (its issue
/// 137). Here the score is −∞, and no other position has that score. Wrap `noisy` in end_last, not the reverse.
template <score_policy Score, std::size_t Count>
struct end_last {
    static constexpr auto kind = policy_kind::score;
    Score inner;                     ///< the score of all other positions
    std::array<token_t, Count> ends; ///< the tokens that come last, at least 0

    /// Ranks `tokens` last, and other tokens by `plain`.
    template <std::convertible_to<token_t>... Tokens>
        requires(sizeof...(Tokens) == Count)
    constexpr explicit end_last(Score plain, Tokens... tokens)
        : inner(std::move(plain)), ends{static_cast<token_t>(tokens)...} {}

    void check() const {
        detail::check_policy(inner);
        for (const token_t end : ends) {
            if (end < 0) {
                throw invalid_argument("sampler", "end_last.ends", std::to_string(end), "tokens of at least 0");
            }
        }
    }
    UNMASK_HOST_DEVICE score operator()(const candidate& position) const {
        constexpr double lowest = -0x1.fffffffffffffp1023;
        for (std::size_t i = 0; i < Count; ++i) {
            if (position.token == detail::element(ends, i)) {
                return {static_cast<double>(detail::minus_infinity)};
            }
        }
        const score plain = inner(position);
        return plain.value < lowest ? score{lowest} : plain;
    }
};

template <class Score, class... Tokens>
end_last(Score, Tokens...) -> end_last<Score, sizeof...(Tokens)>;

UNMASK_NAMESPACE_END
