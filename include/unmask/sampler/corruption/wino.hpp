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

/// WINO, wide in, narrow out (arXiv 2507.18578): commits boldly, and takes back what does not hold up. At each call
///
///   - in: masked positions whose token has at least the probability `wide`, surest first, at most 70 % of the masked ones
///     and never more than 20 or fewer than 5 allowed; the surest one whatever it has;
///   - out: committed positions of the block whose token has, by the model's shadow block, less than `narrow`, the least
///     probable first, one fewer than went in: so every call leaves fewer masks.
///
/// Needs a shadow_denoiser. Ties: the lowest position first. Takes the selector's place and does not follow the schedule.
struct wino {
    static constexpr auto kind = policy_kind::corruption;
    static constexpr bool selects = true;
    static constexpr bool verifies = true;
    struct memory {};

    double wide = 0.6;
    double narrow = 0.9;

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
        // By what they are sorted by; of equals the lowest position is first, as that is their order in memory.
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
