// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <tuple>

#include <unmask/config.hpp>
#include <unmask/error.hpp>
#include <unmask/sampler/stop/any.hpp>
#include <unmask/sampler/stop/stop.hpp>
#include <unmask/sampler/stop/tokens.hpp>
#include <unmask/sampler/vocabulary.hpp>

// Stop rules on the GPU: those that wait for the first of several tokens.

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

// The tokens that end a text.
struct end_tokens {
    static constexpr int most = 16;
    int count = 0;
    token_t tokens[most]{};

    UNMASK_DEVICE bool operator()(token_t token) const {
        bool found = false;
        UNMASK_UNROLL
        for (int i = 0; i < most; ++i) {
            found = found || (i < count && tokens[i] == token);
        }
        return found;
    }
    void add(token_t token) {
        if (count == most) {
            throw invalid_argument("sampler", "the number of tokens that end a text", "more than 16",
                                   "at most 16 on cuda_executor");
        }
        tokens[count++] = token;
    }
};

template <class Rule>
inline constexpr bool waits_for_tokens = false;
template <>
inline constexpr bool waits_for_tokens<never_stop> = true;
template <>
inline constexpr bool waits_for_tokens<stop_at_end> = true;
template <>
inline constexpr bool waits_for_tokens<stop_at_tokens> = true;
template <class... Rules>
inline constexpr bool waits_for_tokens<stop_at_any<Rules...>> = (waits_for_tokens<Rules> && ...);

inline void add_ends(end_tokens& /*ends*/, const vocabulary& /*tokens*/, const never_stop& /*rule*/) {}
inline void add_ends(end_tokens& ends, const vocabulary& tokens, const stop_at_end& /*rule*/) {
    if (tokens.end) {
        ends.add(*tokens.end);
    }
}
inline void add_ends(end_tokens& ends, const vocabulary& /*tokens*/, const stop_at_tokens& rule) {
    for (const token_t end : rule.ends) {
        ends.add(end);
    }
}
template <class... Rules>
void add_ends(end_tokens& ends, const vocabulary& tokens, const stop_at_any<Rules...>& rule) {
    std::apply([&](const Rules&... each) { (add_ends(ends, tokens, each), ...); }, rule.rules);
}

// With several rules the earliest end token wins, as if they were one rule.
template <class Rule>
end_tokens ends_of(const vocabulary& tokens, const Rule& rule) {
    end_tokens ends;
    add_ends(ends, tokens, rule);
    return ends;
}

} // namespace detail::cuda
UNMASK_NAMESPACE_END
