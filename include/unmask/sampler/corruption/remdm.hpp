// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/error.hpp>
#include <unmask/sampler/corruption/corruption.hpp>

UNMASK_NAMESPACE_BEGIN

// ReMDM (arXiv 2503.00307): the ancestral process of masked diffusion, except that committed positions are masked again
// with probability σ and so get another chance. All variants replace the selector, decide before the model is called,
// and make at most one call for each step. α is 1 − the schedule's masked share, as in MDLM's log-linear schedule.

namespace detail {

// A step from α_t to α_s: the probability that a masked position is committed, given σ, and the largest possible σ.
struct remdm_step {
    double alpha_t;
    double alpha_s;

    [[nodiscard]] double commit(double sigma) const {
        return alpha_t < 1 ? (alpha_s - (1 - sigma) * alpha_t) / (1 - alpha_t) : 1;
    }
    [[nodiscard]] double largest_sigma() const { return alpha_t > 0 ? std::min(1.0, (1 - alpha_s) / alpha_t) : 1; }
};

// Decides for every position. sigma(position) is the probability that a committed position is masked again.
template <class Sigma>
void remdm(std::span<candidate> positions, double commit, const Sigma& sigma) {
    for (candidate& position : positions) {
        if (position.state == position_state::masked) {
            position.chosen = position.random < commit;
        } else if (position.random < sigma(position)) {
            position.change = change::remask;
        }
    }
}

// Until the last step, positions may be remasked even if none is masked now.
inline bool has_later_step(const corruption_step& step) {
    return step.now.step + 1 < step.now.steps;
}

inline void check_share(const char* argument, double value) {
    if (!(value >= 0 && value <= 1)) {
        throw invalid_argument("sampler", argument, std::to_string(value), "in [0, 1]");
    }
}

} // namespace detail

/// σ = min(η, σ_max) (ReMDM, Section 4.1).
struct remdm_cap {
    static constexpr auto kind = policy_kind::corruption;
    static constexpr bool selects = true;
    struct memory {};

    double eta = 0.02; ///< η, in [0, 1]

    void check() const { detail::check_share("remdm_cap.eta", eta); }
    [[nodiscard]] index_t extra_calls(const schedule_step& now) const { return now.steps; }
    [[nodiscard]] bool goes_on(const corruption_step& step, const memory& /*memory*/) const {
        return detail::has_later_step(step);
    }
    void before(std::span<candidate> positions, const corruption_step& step, memory& /*memory*/) const {
        const detail::remdm_step rates{1 - step.time, 1 - step.next_time};
        const double sigma = std::min(eta, rates.largest_sigma());
        detail::remdm(positions, rates.commit(sigma), [&](const candidate&) { return sigma; });
    }
};

/// σ = η · σ_max (ReMDM, Section 4.1).
struct remdm_rescale {
    static constexpr auto kind = policy_kind::corruption;
    static constexpr bool selects = true;
    struct memory {};

    double eta = 0.02; ///< η, in [0, 1]

    void check() const { detail::check_share("remdm_rescale.eta", eta); }
    [[nodiscard]] index_t extra_calls(const schedule_step& now) const { return now.steps; }
    [[nodiscard]] bool goes_on(const corruption_step& step, const memory& /*memory*/) const {
        return detail::has_later_step(step);
    }
    void before(std::span<candidate> positions, const corruption_step& step, memory& /*memory*/) const {
        const detail::remdm_step rates{1 - step.time, 1 - step.next_time};
        const double sigma = eta * rates.largest_sigma();
        detail::remdm(positions, rates.commit(sigma), [&](const candidate&) { return sigma; });
    }
};

/// σᵢ = softmax(−p)ᵢ · σ_max over the committed positions, where p is the probability with which each was committed
/// (ReMDM, Section 4.1): the least certain tokens are the most likely to be masked again.
struct remdm_conf {
    static constexpr auto kind = policy_kind::corruption;
    static constexpr bool selects = true;
    struct memory {
        std::vector<double> weight; ///< exp(−p) of each position when it was committed
    };

    [[nodiscard]] index_t extra_calls(const schedule_step& now) const { return now.steps; }
    [[nodiscard]] bool goes_on(const corruption_step& step, const memory& /*memory*/) const {
        return detail::has_later_step(step);
    }
    void before(std::span<candidate> positions, const corruption_step& step, memory& past) const {
        const auto weight_of = [&](const candidate& position) {
            const auto at = static_cast<std::size_t>(position.where.position);
            return at < past.weight.size() ? past.weight[at]
                                           : 0.0; // 0 for commitments of another run, which are left alone
        };
        double sum = 0;
        for (const candidate& position : positions) {
            sum += position.state == position_state::committed ? weight_of(position) : 0;
        }
        const detail::remdm_step rates{1 - step.time, 1 - step.next_time};
        detail::remdm(positions, rates.commit(0), [&](const candidate& position) {
            return sum > 0 ? weight_of(position) / sum * rates.largest_sigma() : 0.0;
        });
    }
    void operator()(std::span<candidate> positions, const corruption_step& /*step*/, memory& past) const {
        for (const candidate& position : positions) {
            const auto at = static_cast<std::size_t>(position.where.position);
            past.weight.resize(std::max(past.weight.size(), at + 1));
            past.weight[at] = std::exp(-std::exp(position.shaped_log_probability));
        }
    }
};

/// MDLM until a share α_on is committed, at time t_on; then, until t_off, σ = η at constant α; then MDLM to the end
/// (ReMDM, Section 4.2). The defaults are the published setting for 1024 steps.
struct remdm_loop {
    static constexpr auto kind = policy_kind::corruption;
    static constexpr bool selects = true;
    struct memory {};

    double eta = 0.02;     ///< η, in [0, 1]
    double t_on = 0.55;    ///< time at which remasking begins, in [0, 1]
    double t_off = 0.05;   ///< time at which it ends, in [0, t_on]
    double alpha_on = 0.9; ///< share that is committed in between, in [0, 1]

    [[nodiscard]] index_t extra_calls(const schedule_step& now) const { return now.steps; }
    [[nodiscard]] bool goes_on(const corruption_step& step, const memory& /*memory*/) const {
        return detail::has_later_step(step);
    }
    void check() const {
        detail::check_share("remdm_loop.eta", eta);
        detail::check_share("remdm_loop.t_on", t_on);
        detail::check_share("remdm_loop.alpha_on", alpha_on);
        if (!(t_off >= 0 && t_off <= t_on)) {
            throw invalid_argument("sampler", "remdm_loop.t_off", std::to_string(t_off), "in [0, t_on]");
        }
    }
    void before(std::span<candidate> positions, const corruption_step& step, memory& /*memory*/) const {
        const bool looping = step.time <= t_on && step.time > t_off && step.next_time > 0;
        const auto alpha = [&](double time) {
            return step.time > t_on     ? (1 - time) * alpha_on / (1 - t_on)
                   : step.time <= t_off ? 1 - time * (1 - alpha_on) / t_off
                                        : alpha_on;
        };
        // The last step commits what is left, whatever the settings.
        const detail::remdm_step rates{alpha(step.time), step.next_time > 0 ? alpha(step.next_time) : 1.0};
        const double sigma = looping ? eta : 0;
        detail::remdm(positions, rates.commit(sigma), [&](const candidate&) { return sigma; });
    }
};

UNMASK_NAMESPACE_END
