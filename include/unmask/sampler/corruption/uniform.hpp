// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/error.hpp>
#include <unmask/sampler/corruption/corruption.hpp>
#include <unmask/sampler/detail/step/uniform_token.hpp>

UNMASK_NAMESPACE_BEGIN

// Uniform diffusion: there is no mask; positions that are not final hold arbitrary tokens. All positions of a block
// stay open until its last call, which commits them together.

namespace detail {

inline bool is_last(const corruption_step& step) {
    return step.now.step + 1 >= step.now.steps;
}

} // namespace detail

/// Duo's ancestral sampler (arXiv 2506.10892) with α = 1 − the schedule's masked share. Every position is drawn from
///
///     (α_t V x₀ ⊙ x_t + (α_t/α_s − α_t) x_t + (α_s − α_t) x₀ + (1 − α_t/α_s)(1 − α_s)/V) / (α_t V x₀[x_t] + 1 − α_t),
///
/// where x₀ is the model's distribution. One uniform number decides whether the position keeps its token, takes a token
/// drawn from the model, or takes noise; another one draws the token. Replaces the selector; use it with categorical{},
/// and with steps for the number of calls.
struct duo {
    static constexpr auto kind = policy_kind::corruption;
    static constexpr bool uniform = true;
    static constexpr bool selects = true;
    struct memory {};

    bool greedy_tail = true; ///< the last step takes the most likely token, as published; otherwise the drawn one

    [[nodiscard]] index_t extra_calls(const schedule_step& now) const { return now.steps; }
    void operator()(std::span<candidate> positions, const corruption_step& step, memory& /*memory*/) const {
        const double alpha_t = 1 - step.time;
        const double alpha_s = 1 - step.next_time;
        const double ratio = alpha_s > 0 ? alpha_t / alpha_s : 0;
        const double count = step.tokens.size - (step.tokens.mask < step.tokens.size ? 1 : 0);
        for (candidate& position : positions) {
            if (detail::is_last(step)) {
                position.token = greedy_tail ? position.raw.best : position.token;
                position.change = change::commit;
                continue;
            }
            const double stay = alpha_t * count * std::exp(position.held_log_probability) + ratio - alpha_t;
            const double clean = alpha_s - alpha_t;
            const double noise = (1 - ratio) * (1 - alpha_s);
            const double route = position.random * (stay + clean + noise);
            if (route >= stay) {
                const bool is_noise = route >= stay + clean;
                position.token = is_noise ? detail::uniform_token(step.tokens, position.words[0], position.words[1])
                                          : position.token;
                position.change = change::renoise;
            }
        }
    }
};

/// DiffusionGemma's loop: at each call, the positions of lowest entropy take their drawn tokens, as many as
/// have Σ H − the largest H ≤ bound; all others get new noise. The block ends when the most likely tokens have
/// stayed the same for `stable_calls` calls and the mean entropy is below `entropy`, or at its last step. It
/// then takes the most likely tokens.
///
/// Entropies are in nats, of the distribution that tokens are drawn from. Replaces the selector. The original uses
/// steps{48} and annealed_categorical{0.8, 0.4}.
struct entropy_renoise {
    static constexpr auto kind = policy_kind::corruption;
    static constexpr bool uniform = true;
    static constexpr bool selects = true;
    struct memory {
        std::vector<token_t> best; ///< the most likely tokens at the last call
        index_t stable = 0;        ///< calls that have found `best` unchanged
    };

    double bound = 0.1;       ///< of the sum of entropies, in nats
    index_t stable_calls = 1; ///< calls without change after which the block may end
    double entropy = 0.005;   ///< mean entropy below which the block may end, in nats

    void check() const {
        if (!(bound >= 0)) {
            throw invalid_argument("sampler", "entropy_renoise.bound", std::to_string(bound), "at least 0");
        }
        if (stable_calls < 0) {
            throw invalid_argument("sampler", "entropy_renoise.stable_calls", std::to_string(stable_calls),
                                   "at least 0");
        }
        if (!(entropy >= 0)) {
            throw invalid_argument("sampler", "entropy_renoise.entropy", std::to_string(entropy), "at least 0");
        }
    }
    [[nodiscard]] index_t extra_calls(const schedule_step& now) const { return now.steps; }
    void operator()(std::span<candidate> positions, const corruption_step& step, memory& past) const {
        std::vector<token_t> best;
        std::vector<std::pair<double, candidate*>> surest; // by entropy, then as they lie in memory: by position
        double sum = 0;
        for (candidate& position : positions) {
            best.push_back(position.raw.best);
            surest.emplace_back(position.shaped.entropy, &position);
            sum += position.shaped.entropy;
        }
        past.stable = best == past.best ? past.stable + 1 : 0;
        past.best = std::move(best);
        const bool settled = past.stable >= stable_calls && sum < entropy * static_cast<double>(positions.size());
        if (settled || detail::is_last(step)) {
            for (candidate& position : positions) {
                position.token = position.raw.best;
                position.change = change::commit;
            }
            return;
        }
        std::sort(surest.begin(), surest.end());
        double before = 0; // entropies are ascending: the sum without the largest
        bool accepted = true;
        for (const auto& [its_entropy, position] : surest) {
            accepted = accepted && before <= bound;
            before += its_entropy;
            position->change = change::renoise;
            if (!accepted) {
                position->token = detail::uniform_token(step.tokens, position->words[2], position->words[3]);
            }
        }
    }
};

UNMASK_NAMESPACE_END
