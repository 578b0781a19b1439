// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <array>
#include <compare>
#include <cstdint>

#include <unmask/config.hpp>
#include <unmask/sampler/denoiser.hpp>
#include <unmask/sampler/row_statistics.hpp>

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

/// A masked position, the token drawn for it, and what is known about the distribution.
///
/// A selector that runs before the model finds `where` and `random` alone filled in.
struct candidate {
    row where;
    std::array<std::uint32_t, 4> words{}; ///< the position's random words: two for the draw, two for `random`
    double random = 0;                    ///< uniform in (0, 1), independent of the draw
    token_t token = -1;
    double raw_log_probability = 0;
    double shaped_log_probability = 0;
    row_statistics raw;
    row_statistics shaped;
    unmask::score score;
    bool chosen = false; ///< set by the selector: the token is committed

    /// log p of the drawn token.
    [[nodiscard]] double log_probability(score_from source) const {
        return source == score_from::raw ? raw_log_probability : shaped_log_probability;
    }
    [[nodiscard]] const row_statistics& statistics(score_from source) const {
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
