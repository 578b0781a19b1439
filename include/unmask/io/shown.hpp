// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

#include <unmask/config.hpp>
#include <unmask/io/detail/utf8.hpp>

UNMASK_NAMESPACE_BEGIN

/// The bytes of the first character of a text in UTF-8; 1 where there is none.
inline std::size_t character_size(std::string_view text) {
    return std::max<std::size_t>(1, detail::utf8_length(text));
}

namespace detail {
// As shown() does, without quotes.
inline std::string shown_plainly(std::string_view text) {
    constexpr const char* digits = "0123456789abcdef";
    std::string result;
    for (int count = 0; !text.empty(); ++count) {
        if (count == 80) {
            return result + "…";
        }
        const std::string_view character = text.substr(0, character_size(text));
        const auto first = static_cast<unsigned char>(character[0]);
        const bool plain = character.size() == 1 ? first >= 0x20 && first < 0x7f
                                                 : first != 0xc2 || static_cast<unsigned char>(character[1]) >= 0xa0;
        if (plain) {
            result += character;
        } else if (first == '\n') {
            result += "\\n";
        } else {
            for (const char byte : character) {
                const auto value = static_cast<unsigned char>(byte);
                (result += "\\x") += {digits[value / 16], digits[value % 16]};
            }
        }
        text.remove_prefix(character.size());
    }
    return result;
}
} // namespace detail

/// Somebody else's text in quotes, for a message: at most 80 characters of it, and those that a terminal would obey as
/// \\n or \\x1b.
inline std::string shown(std::string_view text) {
    std::string result = "'"; // not by +, where g++ 12 sees an overlap (GCC bug 105651)
    result += detail::shown_plainly(text);
    return result += '\'';
}

UNMASK_NAMESPACE_END
