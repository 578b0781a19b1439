// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <unmask/config.hpp>

UNMASK_NAMESPACE_BEGIN

namespace detail {

// The length of the well-formed UTF-8 character at the beginning of a text, or 0 (Unicode 15, table 3-7).
inline std::size_t utf8_length(std::string_view text) {
    const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
    const auto follows = [&](std::size_t i, unsigned least = 0x80, unsigned most = 0xbf) {
        return byte(i) >= least && byte(i) <= most;
    };
    const unsigned first = byte(0);
    if (first < 0x80) {
        return text.empty() ? 0 : 1;
    }
    if (first >= 0xc2 && first <= 0xdf) {
        return follows(1) ? 2 : 0;
    }
    if (first >= 0xe0 && first <= 0xef) {
        return follows(1, first == 0xe0 ? 0xa0 : 0x80, first == 0xed ? 0x9f : 0xbf) && follows(2) ? 3 : 0;
    }
    if (first >= 0xf0 && first <= 0xf4) {
        return follows(1, first == 0xf0 ? 0x90 : 0x80, first == 0xf4 ? 0x8f : 0xbf) && follows(2) && follows(3) ? 4 : 0;
    }
    return 0;
}

// A code point below 0x110000 that is no surrogate, in UTF-8.
inline std::string utf8_of(std::uint32_t point) {
    const auto tail = [&](int shift) { return static_cast<char>(0x80U | ((point >> shift) & 0x3fU)); };
    if (point < 0x80) {
        return {static_cast<char>(point)};
    }
    if (point < 0x800) {
        return {static_cast<char>(0xc0U | (point >> 6)), tail(0)};
    }
    if (point < 0x10000) {
        return {static_cast<char>(0xe0U | (point >> 12)), tail(6), tail(0)};
    }
    return {static_cast<char>(0xf0U | (point >> 18)), tail(12), tail(6), tail(0)};
}

} // namespace detail

UNMASK_NAMESPACE_END
