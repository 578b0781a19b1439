// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/error.hpp>
#include <unmask/sampler/corruption/corruption.hpp>

UNMASK_NAMESPACE_BEGIN

/// WINO, wide in, narrow out (arXiv 2507.18578): commits many tokens early and masks those again that fail
/// verification. Each call
///
///   - commits the surest position, and further masked positions whose token has at least the probability `wide`,
///     surest first, up to a limit: 70 % of the masked positions, but no fewer than 5 and no more than 20;
///   - remasks committed positions of the block whose token has a probability below `narrow` according to the model's
///     shadow block, least probable first, at most one fewer than it commits, so every call leaves fewer masks.
///
/// Needs a shadow_denoiser. Of equal positions, the lowest comes first. Replaces the selector and ignores the schedule.
struct wino {
    static constexpr auto kind = policy_kind::corruption;
    static constexpr bool selects = true;
    static constexpr bool verifies = true;
    struct memory {};

    double wide = 0.6;   ///< probability from which tokens are committed, in [0, 1]
    double narrow = 0.9; ///< probability below which tokens are masked again, in [0, 1]

    void check() const {
        const auto expects = [](const char* argument, double value) {
            if (!(value >= 0 && value <= 1)) {
                throw invalid_argument("sampler", argument, std::to_string(value), "in [0, 1]");
            }
        };
        expects("wino.wide", wide);
        expects("wino.narrow", narrow);
    }
    [[nodiscard]] index_t extra_calls(const schedule_step& /*now*/) const { return 0; }
    void operator()(std::span<candidate> positions, const corruption_step& step, memory& /*memory*/) const {
        // With the number that sorts them; of equals the lowest position is first: that is their order in memory.
        std::vector<std::pair<double, candidate*>> in;
        std::vector<std::pair<double, candidate*>> out;
        for (candidate& position : positions) {
            if (position.state == position_state::masked) {
                in.emplace_back(-position.raw_log_probability, &position);
            } else if (position.held_log_probability < std::log(narrow)) {
                out.emplace_back(position.held_log_probability, &position);
            }
        }
        std::sort(in.begin(), in.end());
        std::sort(out.begin(), out.end());
        const auto share = static_cast<index_t>(0.7 * static_cast<double>(step.now.masked));
        const auto most = static_cast<std::size_t>(std::clamp<index_t>(share, 5, 20));
        std::size_t count = 0;
        while (count < std::min(most, in.size()) && (count == 0 || -in[count].first >= std::log(wide))) {
            in[count++].second->change = change::commit;
        }
        for (std::size_t i = 0; i + 1 < count && i < out.size(); ++i) {
            out[i].second->change = change::remask;
        }
    }
};

UNMASK_NAMESPACE_END
