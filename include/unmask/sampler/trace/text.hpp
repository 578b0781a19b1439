// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>

#include <unmask/config.hpp>
#include <unmask/io/detail/utf8.hpp>

UNMASK_NAMESPACE_BEGIN

/// A function that returns the text of a token as UTF-8, `std::string(token_t)`. A token may be part of a character.
template <class Text>
concept token_text = requires(Text& text, token_t token) {
    { text(token) } -> std::convertible_to<std::string>;
};

namespace detail {

// A text that is safe to show: invalid UTF-8 becomes U+FFFD, and control characters other than newline and tab, which
// could control a terminal, become their symbols (␛ for escape).
inline std::string shown_text(std::string_view text) {
    std::string shown;
    while (!text.empty()) {
        const std::size_t length = utf8_length(text);
        const auto first = static_cast<unsigned char>(text.front());
        const bool high_control = length == 2 && first == 0xc2 && static_cast<unsigned char>(text[1]) < 0xa0;
        if (length == 0 || high_control) {
            shown += "\xef\xbf\xbd"; // U+FFFD
        } else if (length == 1 && (first < 0x20 || first == 0x7f) && first != '\n' && first != '\t') {
            shown += "\xe2\x90"; // U+2400 and on; U+2421 for delete
            shown += static_cast<char>(first == 0x7f ? 0xa1 : 0x80 + first);
        } else {
            shown += text.substr(0, length);
        }
        text.remove_prefix(length == 0 ? 1 : length);
    }
    return shown;
}

} // namespace detail

UNMASK_NAMESPACE_END
