// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cmath>
#include <span>
#include <string>

#include <unmask/config.hpp>
#include <unmask/error.hpp>
#include <unmask/sampler/corruption/corruption.hpp>

UNMASK_NAMESPACE_BEGIN

/// Replaces committed tokens (LLaDA2.1's token-to-token editing): at each call, a committed position of the current
/// block gets the drawn token if it differs from the current one and its probability exceeds `probability`. When
/// nothing is masked any more, up to `rounds` further calls only edit, until a call changes nothing. Prompts and
/// earlier blocks are never edited.
struct edit {
    static constexpr auto kind = policy_kind::corruption;
    static constexpr bool reads_committed = true;
    struct memory {
        index_t rounds = 0;   ///< calls without masked positions
        bool changed = false; ///< true if the last call edited a token
    };

    double probability = 0.9;               ///< threshold, in [0, 1]
    index_t rounds = 16;                    ///< most calls that only edit, for each block
    score_from source = score_from::shaped; ///< the distribution of that probability

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
