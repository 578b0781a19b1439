// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <limits>
#include <string>

#include <unmask/config.hpp>
#include <unmask/error.hpp>
#include <unmask/numeric/exact_math.hpp>
#include <unmask/sampler/policies.hpp>

UNMASK_NAMESPACE_BEGIN

/// The place of a sequence in the schedule of its block.
struct schedule_step {
    index_t step = 0;   ///< of this block, from 0
    index_t steps = 1;  ///< that this block has
    index_t total = 0;  ///< masked positions when the block began
    index_t masked = 0; ///< masked positions now, at least 1
};

/// The shares of a block that are masked before and after a step: the schedule's masked_share of both.
struct masked_shares {
    double before = 1; ///< at the beginning of the step
    double after = 0;  ///< at its end
};

/// A schedule spreads the masked positions of a block over its steps.
///
///   1. `count`: the largest number of steps of a sequence. Its blocks share them evenly; the first blocks get the
///      remainder, and every block at least one.
///   2. `masked_share(step, steps)`: the share of a block's positions that are still masked before the step: 1 at step
///      0, 0 at `steps`, never rising. It is the diffusion time in a model with a linear noise schedule.
///
/// Optional: `static constexpr bool per_block = true`: every block has `count` steps of its own.
///
/// Optional: `quota(schedule_step)` or `quota(schedule_step, masked_shares)`, the number of positions that the step
/// commits, marked UNMASK_HOST_DEVICE if it is to run on cuda_executor. Without it, the masked share is rounded, and
/// each step commits at least one. The last step commits whatever is left; a step that would commit nothing makes no
/// call. A sequence with fewer masked positions than steps takes one call for each position.
template <class S>
concept schedule_policy = sampling_policy<S> && requires(const S& schedule, index_t step) {
    { schedule.count } -> std::convertible_to<index_t>;
    { schedule.masked_share(step, step) } -> std::convertible_to<double>;
};

namespace detail {

inline void check_count(const char* argument, index_t count) {
    if (count < 1) {
        throw invalid_argument("sampler", argument, std::to_string(count), "at least 1");
    }
}

template <class Schedule>
constexpr bool is_per_block() {
    return requires { requires Schedule::per_block; };
}

inline double share_done(index_t step, index_t steps) {
    return static_cast<double>(step) / static_cast<double>(steps);
}

UNMASK_HOST_DEVICE constexpr index_t clamped(index_t value, index_t least, index_t most) {
    return value < least ? least : value > most ? most : value;
}

// How many positions to commit so that the masked share is met, leaving at least one for each later step.
UNMASK_HOST_DEVICE inline index_t rounded_quota(const schedule_step& now, const masked_shares& shares) {
    const index_t later = now.steps - now.step - 1;
    const double target = product_of(static_cast<double>(now.total), shares.after);
    const index_t quota = now.masked - static_cast<index_t>(target + 0.5);
    return clamped(quota, 1, now.masked - later < 1 ? 1 : now.masked - later);
}

// The chance with which the ancestral process commits a masked position: 1 − s/t.
UNMASK_HOST_DEVICE inline double commit_probability(const masked_shares& shares) {
    return shares.before > 0 ? 1 - quotient(shares.after, shares.before) : 1;
}

UNMASK_HOST_DEVICE constexpr bool is_last(const schedule_step& now) {
    return now.step + 1 >= now.steps;
}

// How many positions a step commits: all that are left, if it is the last one.
template <class Schedule>
UNMASK_HOST_DEVICE index_t quota_by(const Schedule& schedule, const schedule_step& now, const masked_shares& shares) {
    if (is_last(now)) {
        return now.masked;
    }
    if constexpr (requires { schedule.quota(now, shares); }) {
        return clamped(schedule.quota(now, shares), 0, now.masked);
    } else if constexpr (requires { schedule.quota(now); }) {
        return clamped(schedule.quota(now), 0, now.masked);
    } else {
        return rounded_quota(now, shares);
    }
}

// The masked shares at a step; the last one leaves nothing.
template <class Schedule>
masked_shares shares_of(const Schedule& schedule, const schedule_step& now) {
    return is_last(now) ? masked_shares{1, 0}
                        : masked_shares{schedule.masked_share(now.step, now.steps),
                                        schedule.masked_share(now.step + 1, now.steps)};
}

} // namespace detail

/// The same number of positions at every step; the first N mod n get one more. LLaDA's get_num_transfer_tokens.
struct steps {
    static constexpr auto kind = policy_kind::schedule;
    index_t count = 128; ///< steps of a sequence

    void check() const { detail::check_count("steps.count", count); }
    [[nodiscard]] double masked_share(index_t step, index_t of) const { return 1 - detail::share_done(step, of); }
    [[nodiscard]] UNMASK_HOST_DEVICE index_t quota(const schedule_step& now) const {
        return now.total / now.steps + (now.step < now.total % now.steps ? 1 : 0);
    }
};

/// As `steps`, but every block has `count` steps of its own: LLaDA2 and SDAR.
struct steps_per_block {
    static constexpr auto kind = policy_kind::schedule;
    static constexpr bool per_block = true;
    index_t count = 32; ///< steps of a block

    void check() const { detail::check_count("steps_per_block.count", count); }
    [[nodiscard]] double masked_share(index_t step, index_t of) const { return 1 - detail::share_done(step, of); }
    [[nodiscard]] UNMASK_HOST_DEVICE index_t quota(const schedule_step& now) const { return steps{count}.quota(now); }
};

/// Few positions at first, more later: cos(π/2 · step/steps) of them stay masked (MaskGIT, arXiv 2202.04200).
struct cosine_steps {
    static constexpr auto kind = policy_kind::schedule;
    index_t count = 128; ///< steps of a sequence

    void check() const { detail::check_count("cosine_steps.count", count); }
    [[nodiscard]] double masked_share(index_t step, index_t of) const {
        return step >= of ? 0 : std::cos(1.5707963267948966 * detail::share_done(step, of));
    }
};

/// Dream's schedule: times from 1 down to epsilon in equal steps; the last step goes to 0.
struct timesteps {
    static constexpr auto kind = policy_kind::schedule;
    index_t count = 512;   ///< steps of a sequence
    double epsilon = 1e-3; ///< time before the last step, in [0, 1)
    /// If true, round as Dream's code does, ⌊masked · (1 − s/t)⌋ at each step: some steps commit nothing, and so make
    /// no call, and the last commits many. If false, partition exactly.
    bool floor_quota = false;

    void check() const {
        detail::check_count("timesteps.count", count);
        if (!(epsilon >= 0 && epsilon < 1)) {
            throw invalid_argument("sampler", "timesteps.epsilon", std::to_string(epsilon), "in [0, 1)");
        }
    }
    [[nodiscard]] double masked_share(index_t step, index_t of) const {
        return step >= of ? 0 : 1 - (1 - epsilon) * detail::share_done(step, of);
    }
    [[nodiscard]] UNMASK_HOST_DEVICE index_t quota(const schedule_step& now, const masked_shares& shares) const {
        if (floor_quota) {
            const double chance = detail::commit_probability(shares);
            return static_cast<index_t>(exact::product_of(static_cast<double>(now.masked), chance));
        }
        return detail::rounded_quota(now, shares);
    }
};

/// The place where the first block begins.
enum class block_origin {
    generation, ///< the sequence's first position that is not prompt: LLaDA
    sequence,   ///< position 0, as block-causal masks count: SDAR, LLaDA2. The end of a prompt may share a block
};

/// Semi-autoregressive decoding: a block is filled before the next one begins.
///
/// Blocks of `size` positions are counted from a place in each sequence, so they don't depend on the batch. The last
/// may be shorter, and blocks without a masked position are skipped. By default the whole sequence is one block; for a
/// block_denoiser, blocks are the model's.
struct block_length {
    static constexpr auto kind = policy_kind::blocks;
    index_t size = std::numeric_limits<index_t>::max(); ///< positions in a block, at least 1
    block_origin origin = block_origin::generation;     ///< the place where the first block begins

    void check() const { detail::check_count("block_length.size", size); }
};

UNMASK_NAMESPACE_END
