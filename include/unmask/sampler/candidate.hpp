// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <array>
#include <compare>
#include <cstdint>

#include <unmask/config.hpp>
#include <unmask/numeric/detail/base_2.hpp>
#include <unmask/numeric/row_statistics.hpp>
#include <unmask/sampler/denoiser.hpp>

UNMASK_NAMESPACE_BEGIN

/// The rank of a position: the highest score is committed first; of equal scores, the lowest position. A type of its
/// own, so that an uncertainty can't be passed for a certainty unnoticed.
struct score {
    double value = 0; ///< neither NaN nor bounded

    friend constexpr auto operator<=>(const score&, const score&) = default;
};

/// The probabilities that a policy reads.
enum class score_from {
    raw,    ///< those of the model
    shaped, ///< those that the token was drawn from, after temperature and filters
};

/// The change of a position in a step.
enum class change : std::uint8_t {
    none,    ///< the position stays as it is
    commit,  ///< a masked position gets its token
    remask,  ///< a committed position is masked again
    renoise, ///< a masked position stays so and holds another token (uniform corruption)
    edit,    ///< a committed position gets another token
    fill,    ///< a masked position gets the end token from a stop rule; the model had no part in it
};

/// A position, the token drawn for it, and what is known about the distribution. Selectors see masked positions alone,
/// corruptions also committed ones if they ask for them.
///
/// Policies that run before the model find only `where`, `state`, `held` and the random numbers filled in.
struct candidate {
    // Members that are read after the rows have been, side by side: they come from another core's cache.
    row where;                                     ///< sequence and position
    unmask::score score;                           ///< set by the score policy
    double random = 0;                             ///< uniform in (0, 1), independent of the draw
    double raw_log_probability = 0;                ///< of `token`, by the model's own probabilities
    token_t token = -1;                            ///< the drawn one
    token_t held = -1;                             ///< what the canvas holds there
    position_state state = position_state::masked; ///< of the position, before the step
    bool chosen = false;                           ///< set by the selector: the token is committed
    unmask::change change = unmask::change::none;  ///< set by the corruption, if it decides otherwise

    std::array<std::uint32_t, 4> words{}; ///< the position's random words: two for the draw, two for `random`
    double shaped_log_probability = 0;    ///< of `token`, in the distribution that it was drawn from
    double held_log_probability = 0;      ///< of `held`, by the model's own; −∞ for the mask token
    row_statistics raw;                   ///< of the model's distribution
    row_statistics shaped;                ///< of the distribution that the token was drawn from
    /// The largest KL(p of a step ‖ p of the step before it), in nats, over the last steps that a selector with
    /// `divergence_steps` asks for; +∞ if there were fewer. Filled in only for such a selector.
    double divergence = -static_cast<double>(detail::minus_infinity);

    /// log p of the drawn token.
    [[nodiscard]] UNMASK_HOST_DEVICE double log_probability(score_from source) const {
        return source == score_from::raw ? raw_log_probability : shaped_log_probability;
    }
    /// The statistics of one of the two distributions.
    [[nodiscard]] UNMASK_HOST_DEVICE const row_statistics& statistics(score_from source) const {
        return source == score_from::raw ? raw : shaped;
    }
};

/// The order in which candidates of one sequence are committed.
struct committed_first {
    /// Whether a comes before b.
    constexpr bool operator()(const candidate& a, const candidate& b) const {
        return a.score.value > b.score.value || (a.score.value == b.score.value && a.where.position < b.where.position);
    }
};

UNMASK_NAMESPACE_END
