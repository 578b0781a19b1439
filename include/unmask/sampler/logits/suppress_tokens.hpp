// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <limits>
#include <span>
#include <string>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/error.hpp>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/denoiser.hpp>
#include <unmask/sampler/policies.hpp>

UNMASK_NAMESPACE_BEGIN

/// Prevents tokens from being drawn at any position: `suppress_tokens{{126081}}` with the end token is LLaDA's
/// logits_eos_inf. Tokens that are not in the vocabulary have no effect.
struct suppress_tokens {
    static constexpr auto kind = policy_kind::logits;
    std::vector<token_t> tokens; ///< the suppressed tokens, at least 0

    void check() const {
        for (const token_t token : tokens) {
            if (token < 0) {
                throw invalid_argument("sampler", "suppress_tokens.tokens", std::to_string(token),
                                       "tokens of at least 0");
            }
        }
    }
    void operator()(const canvas& /*page*/, row /*where*/, std::span<float> logits) const {
        for (const token_t token : tokens) {
            if (token < std::ssize(logits)) {
                logits[static_cast<std::size_t>(token)] = -std::numeric_limits<float>::infinity();
            }
        }
    }
};

UNMASK_NAMESPACE_END
