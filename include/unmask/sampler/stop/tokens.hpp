// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/error.hpp>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/policies.hpp>
#include <unmask/sampler/stop/stop.hpp>

UNMASK_NAMESPACE_BEGIN

/// stop_at_end for a model with several end tokens, as `stop_at_tokens{{126081, 126348}}` for LLaDA's end of text and
/// end of turn. The first of any of them is kept; what comes after it gets the vocabulary's end token.
struct stop_at_tokens {
    static constexpr auto kind = policy_kind::stop;
    std::vector<token_t> ends; ///< tokens that end a text

    void check() const {
        for (const token_t end : ends) {
            if (end < 0) {
                throw invalid_argument("sampler", "stop_at_tokens.ends", std::to_string(end), "tokens of at least 0");
            }
        }
    }
    std::optional<index_t> operator()(const canvas& page, index_t sequence) const {
        return detail::kept_of(page, sequence, {ends.data(), ends.size()});
    }
};

UNMASK_NAMESPACE_END
