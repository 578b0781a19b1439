// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cmath>
#include <span>
#include <string>

#include <unmask/config.hpp>
#include <unmask/error.hpp>
#include <unmask/sampler/corruption/corruption.hpp>

UNMASK_NAMESPACE_BEGIN

/// Committed tokens can be replaced (LLaDA2.1's token-to-token editing): at each call a committed position of the current
/// block gets the drawn token if that is another one and has more than this probability. When nothing is masked any more,
/// up to `rounds` calls only edit, until one changes nothing. Prompts and earlier blocks are never edited.
struct edit {
    static constexpr auto kind = policy_kind::corruption;
    static constexpr bool reads_committed = true;
    struct memory {
        index_t rounds = 0;   ///< calls with nothing masked
        bool changed = false; ///< the last call edited something
    };

    double probability = 0.9;
    index_t rounds = 16;
    score_from source = score_from::shaped;

    void check() const {
        if (!(probability >= 0 && probability <= 1)) {
            throw invalid_argument("sampler", "edit.probability", std::to_string(probability), "in [0, 1]");
        }
        if (rounds < 0) {
            throw invalid_argument("sampler", "edit.rounds", std::to_string(rounds), "at least 0");
        }
    }
    [[nodiscard]] index_t extra_calls(const schedule_step& /*now*/) const { return rounds; }
    void operator()(std::span<candidate> positions, const corruption_step& step, memory& past) const {
        past.rounds += step.now.masked == 0 ? 1 : 0;
        past.changed = false;
        for (candidate& position : positions) {
            if (position.state == position_state::committed && position.token != position.held &&
                position.log_probability(source) > std::log(probability)) {
                position.change = change::edit;
                past.changed = true;
            }
        }
    }
    [[nodiscard]] bool goes_on(const corruption_step& /*step*/, const memory& past) const {
        return past.rounds < rounds && (past.rounds == 0 || past.changed);
    }
};

UNMASK_NAMESPACE_END
