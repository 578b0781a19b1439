// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "unicode.hpp"

#include <cstdlib>
#include <memory>
#include <stdexcept>

#include <utf8proc.h>

namespace dlm {

namespace {

/// The start of a text: how many of its bytes belong together, and whether they are a character.
struct prefix {
    std::size_t bytes;
    bool is_character;
};

prefix first_of(std::string_view text) {
    const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char first = byte(0);
    if (first < 0x80) {
        return {1, true};
    }
    if (first < 0xc2 || first > 0xf4) {
        return {1, false}; // a continuation, a start of an overlong form, or beyond U+10FFFF
    }
    const std::size_t size = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    // The second byte's range is narrower where a code would be overlong, a surrogate or too high.
    const unsigned char low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    const unsigned char high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    for (std::size_t i = 1; i < size; ++i) {
        if (i == text.size() || byte(i) < (i == 1 ? low : 0x80) || byte(i) > (i == 1 ? high : 0xbf)) {
            return {i, false};
        }
    }
    return {size, true};
}

} // namespace

std::optional<std::size_t> first_bad_byte(std::string_view text) {
    for (std::size_t i = 0; i < text.size();) {
        const prefix next = first_of(text.substr(i));
        if (!next.is_character) {
            return i;
        }
        i += next.bytes;
    }
    return std::nullopt;
}

std::string lossy_utf8(std::string_view bytes) {
    std::string text;
    text.reserve(bytes.size());
    while (!bytes.empty()) {
        const prefix next = first_of(bytes);
        text += next.is_character ? bytes.substr(0, next.bytes) : "\xef\xbf\xbd";
        bytes.remove_prefix(next.bytes);
    }
    return text;
}

char32_t next_code_point(std::string_view text, std::size_t& i) {
    const prefix next = first_of(text.substr(i));
    const auto byte = [&](std::size_t k) { return static_cast<unsigned char>(text[i + k]); };
    char32_t code = next.bytes == 1 ? byte(0) : byte(0) & (0x7fU >> next.bytes);
    for (std::size_t k = 1; k < next.bytes; ++k) {
        code = code << 6 | (byte(k) & 0x3fU);
    }
    i += next.bytes;
    return code;
}

std::optional<int> columns_of(char32_t code) {
    constexpr char32_t joiner = 0x200d; // of emoji
    const auto point = static_cast<utf8proc_int32_t>(code);
    const utf8proc_category_t category = utf8proc_category(point);
    if (category == UTF8PROC_CATEGORY_CC || (category == UTF8PROC_CATEGORY_CF && code != joiner)) {
        return std::nullopt;
    }
    return utf8proc_charwidth(point);
}

std::string normalized(std::string_view text, normal_form form) {
    int options = UTF8PROC_STABLE;
    options |= form == normal_form::nfc || form == normal_form::nfkc ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE;
    options |= form == normal_form::nfkc || form == normal_form::nfkd ? UTF8PROC_COMPAT : 0;
    utf8proc_uint8_t* result = nullptr;
    const utf8proc_ssize_t size =
        utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()), static_cast<utf8proc_ssize_t>(text.size()),
                     &result, static_cast<utf8proc_option_t>(options));
    const std::unique_ptr<utf8proc_uint8_t, void (*)(void*)> owned(result, std::free);
    if (size < 0) {
        throw std::runtime_error(std::string("a text can't be normalised: ") + utf8proc_errmsg(size));
    }
    return {reinterpret_cast<const char*>(result), static_cast<std::size_t>(size)};
}

} // namespace dlm
