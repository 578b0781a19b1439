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

/// How soon a position is committed: higher is first. A type of its own, so that an uncertainty can't be passed for a
/// certainty unnoticed. Equal scores: the lowest position is first.
struct score {
    double value = 0;

    friend constexpr auto operator<=>(const score&, const score&) = default;
};

/// Which probabilities a policy looks at.
enum class score_from {
    raw,    ///< the model's own
    shaped, ///< those that the token was drawn from, after temperature and filters
};

/// What a step does to a position.
enum class change : std::uint8_t {
    none,
    commit,  ///< a masked position gets its token
    remask,  ///< a committed position is masked again
    renoise, ///< a masked position stays so and holds another token (uniform corruption)
    edit,    ///< a committed position gets another token
    fill,    ///< a masked position gets the end token from a stop rule; the model had no part in it
};

/// A position, the token drawn for it, and what is known about the distribution. Selectors see masked positions alone,
/// corruptions also committed ones if they ask for them.
///
/// What runs before the model finds `where`, `state`, `held` and the random numbers alone filled in.
struct candidate {
    // What is looked at after the rows have been read, together: it comes from another core's cache.
    row where;
    unmask::score score;
    double random = 0;              ///< uniform in (0, 1), independent of the draw
    double raw_log_probability = 0; ///< of `token`, by the model's own probabilities
    token_t token = -1;             ///< the drawn one
    token_t held = -1;              ///< what the canvas holds there
    position_state state = position_state::masked;
    bool chosen = false;                          ///< set by the selector: the token is committed
    unmask::change change = unmask::change::none; ///< set by the corruption, if it decides otherwise

    std::array<std::uint32_t, 4> words{}; ///< the position's random words: two for the draw, two for `random`
    double shaped_log_probability = 0;    ///< of `token`, in the distribution that it was drawn from
    double held_log_probability = 0;      ///< of `held`, by the model's own; −∞ for the mask token
    row_statistics raw;
    row_statistics shaped;
    /// The largest KL(p of a step ‖ p of the step before it), in nats, over the last steps that a selector with
    /// `divergence_steps` looks at; +∞ if there were fewer. Filled in only for such a selector.
    double divergence = -static_cast<double>(detail::minus_infinity);

    /// log p of the drawn token.
    [[nodiscard]] UNMASK_HOST_DEVICE double log_probability(score_from source) const {
        return source == score_from::raw ? raw_log_probability : shaped_log_probability;
    }
    [[nodiscard]] UNMASK_HOST_DEVICE const row_statistics& statistics(score_from source) const {
        return source == score_from::raw ? raw : shaped;
    }
};

/// The order in which candidates of one sequence are committed.
struct committed_first {
    constexpr bool operator()(const candidate& a, const candidate& b) const {
        return a.score.value > b.score.value || (a.score.value == b.score.value && a.where.position < b.where.position);
    }
};

UNMASK_NAMESPACE_END
