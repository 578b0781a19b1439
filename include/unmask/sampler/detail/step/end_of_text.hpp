// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/sampler/position_state.hpp>

// Where the text of a sequence ends, by the loops of a processor.

UNMASK_NAMESPACE_BEGIN
namespace detail {

// One past the first committed token that is_end(token), if nothing before it is masked; 0 if there is none.
template <class Loops, class IsEnd>
UNMASK_HOST_DEVICE index_t end_of_text(const token_t* tokens, const position_state* states, index_t length,
                                       const IsEnd& is_end) {
    const index_t masked = Loops::find_if(length, [&](index_t i) { return states[i] == position_state::masked; });
    const index_t end =
        Loops::find_if(masked, [&](index_t i) { return states[i] == position_state::committed && is_end(tokens[i]); });
    return end < masked ? end + 1 : 0;
}

// Fills what is not prompt in [begin, end) with the end token.
template <class Loops>
UNMASK_HOST_DEVICE void fill_with_end(token_t* tokens, position_state* states, index_t begin, index_t end,
                                      token_t end_token) {
    Loops::for_each(begin, end, [&](index_t i) {
        if (states[i] != position_state::prompt) {
            tokens[i] = end_token;
            states[i] = position_state::committed;
        }
    });
}

} // namespace detail
UNMASK_NAMESPACE_END
