// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/sampler/position_state.hpp>

// Where a text ends, on every processor. A text has length(), state(i), token(i); find_if(end, f), the first i of [0, end)
// that f(i) is true for, or end; for_each(begin, f), which calls f(i) for all i from `begin` on; and write(i, token).

UNMASK_NAMESPACE_BEGIN
namespace detail {

// One past the first committed token that is_end(token), if nothing before it is masked; 0 if there is none.
template <class Text, class IsEnd>
UNMASK_HOST_DEVICE index_t end_of_text(const Text& text, const IsEnd& is_end) {
    const index_t masked =
        text.find_if(text.length(), [&](index_t i) { return text.state(i) == position_state::masked; });
    const index_t end = text.find_if(
        masked, [&](index_t i) { return text.state(i) == position_state::committed && is_end(text.token(i)); });
    return end < masked ? end + 1 : 0;
}

// Fills what is not prompt, from `begin` on, with the end token.
template <class Text>
UNMASK_HOST_DEVICE void fill_with_end(const Text& text, index_t begin, token_t end) {
    text.for_each(begin, [&](index_t i) {
        if (text.state(i) != position_state::prompt) {
            text.write(i, end);
        }
    });
}

} // namespace detail
UNMASK_NAMESPACE_END
