// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <unmask/config.hpp>
#include <unmask/io/detail/utf8.hpp>
#include <unmask/io/file_error.hpp>
#include <unmask/io/shown.hpp>

UNMASK_NAMESPACE_BEGIN

namespace detail {

// JSON (RFC 8259) read from the left, value by value, without a tree. An object that has a name twice is refused, and
// so is what is nested deeper than any header. Errors name the file, what of it the text is, and the place.
class json_reader {
public:
    json_reader(std::string file, std::string what, std::string_view text)
        : file_(std::move(file)), what_(std::move(what)), text_(text) {}

    // Reads a value and returns its text, from which another reader can read it again.
    std::string_view value() {
        skip_space();
        const std::size_t begin = at_;
        switch (next()) {
        case '{':
            object([&](const std::string&) { value(); });
            break;
        case '[':
            array([&] { value(); });
            break;
        case '"':
            string();
            break;
        default:
            if (!skip("true") && !skip("false") && !skip("null")) {
                number();
            }
        }
        return text_.substr(begin, at_ - begin);
    }

    // Reads an object: calls member(name) where the value of each name is, to be read by it.
    template <class Member>
    void object(const Member& member) {
        std::set<std::string> names;
        list('{', '}', [&] {
            std::string name = string();
            if (!names.insert(name).second) {
                throw file_error(file_, "the name " + shown(name), "there twice", "once");
            }
            skip_space();
            expect(':');
            member(std::as_const(name));
        });
    }

    // Reads an array: calls element() where each element is, to be read by it.
    template <class Element>
    void array(const Element& element) {
        list('[', ']', element);
    }

    std::string string() {
        skip_space();
        expect('"');
        std::string result;
        while (next() != '"') {
            if (next() == '\\') {
                result += escaped();
                continue;
            }
            const std::size_t length = utf8_length(text_.substr(at_));
            if (length == 0 || static_cast<unsigned char>(text_[at_]) < 0x20) {
                fail();
            }
            result += text_.substr(at_, length);
            at_ += length;
        }
        ++at_;
        return result;
    }

    void expect_end() {
        skip_space();
        if (at_ != text_.size()) {
            fail();
        }
    }

private:
    static constexpr int deepest = 64;

    // The next character; 0 at the end, which no JSON has.
    [[nodiscard]] char next() const { return at_ < text_.size() ? text_[at_] : '\0'; }

    [[noreturn]] void fail() const {
        const std::size_t end = std::min(at_ + 1, text_.size());
        const std::size_t begin = end - std::min<std::size_t>(end, 20);
        throw file_error(file_, what_ + " up to byte " + std::to_string(end),
                         "…" + shown(text_.substr(begin, end - begin)), "JSON");
    }

    void skip_space() { at_ = std::min(text_.find_first_not_of(" \t\n\r", at_), text_.size()); }

    bool skip(std::string_view word) {
        const bool there = text_.substr(at_).starts_with(word);
        at_ += there ? word.size() : 0;
        return there;
    }

    void expect(char character) {
        if (next() != character) {
            fail();
        }
        ++at_;
    }

    template <class Element>
    void list(char open, char close, const Element& element) {
        skip_space();
        expect(open);
        if (++depth_ > deepest) {
            throw file_error(file_, "a value of " + what_, "nested " + std::to_string(depth_) + " deep",
                             "at most " + std::to_string(deepest));
        }
        skip_space();
        if (next() != close) {
            element();
            skip_space();
            while (next() == ',') {
                ++at_;
                element();
                skip_space();
            }
        }
        expect(close);
        --depth_;
    }

    void digits() {
        const std::size_t begin = at_;
        at_ = std::min(text_.find_first_not_of("0123456789", at_), text_.size());
        if (at_ == begin) {
            fail();
        }
    }

    void number() {
        skip("-");
        if (!skip("0")) {
            digits();
        }
        if (skip(".")) {
            digits();
        }
        if (skip("e") || skip("E")) {
            if (!skip("+")) {
                skip("-");
            }
            digits();
        }
    }

    std::string escaped() {
        constexpr std::string_view letters = "\"\\/bfnrt";
        constexpr std::string_view meant = "\"\\/\b\f\n\r\t";
        ++at_;
        if (skip("u")) {
            std::uint32_t point = hexadecimal();
            if (point >= 0xd800 && point < 0xdc00) { // the first half of a pair
                const std::uint32_t second = skip("\\u") ? hexadecimal() : 0;
                if (second < 0xdc00 || second >= 0xe000) {
                    fail();
                }
                point = 0x10000 + ((point - 0xd800) << 10) + (second - 0xdc00);
            } else if (point >= 0xdc00 && point < 0xe000) {
                fail();
            }
            return utf8_of(point);
        }
        const std::size_t letter = next() == '\0' ? std::string_view::npos : letters.find(next());
        if (letter == std::string_view::npos) {
            fail();
        }
        ++at_;
        return {meant[letter]};
    }

    std::uint32_t hexadecimal() {
        std::uint32_t value = 0;
        const std::string_view four = text_.substr(at_, 4);
        const auto [end, error] = std::from_chars(four.data(), four.data() + four.size(), value, 16);
        if (four.size() != 4 || error != std::errc() || end != four.data() + 4) {
            fail();
        }
        at_ += 4;
        return value;
    }

    std::string file_;
    std::string what_;
    std::string_view text_;
    std::size_t at_ = 0;
    int depth_ = 0;
};

// The integer from 0 on that a value's text is, if it is one of 64 bits.
inline std::optional<std::uint64_t> json_count(std::string_view value) {
    std::uint64_t count = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), count);
    return error == std::errc() && end == value.data() + value.size() ? std::optional(count) : std::nullopt;
}

// A text as JSON, character for character; nothing if it is no UTF-8.
inline std::optional<std::string> exact_json_string(std::string_view text) {
    constexpr const char* digits = "0123456789abcdef";
    std::string result = "\"";
    while (!text.empty()) {
        const std::size_t length = utf8_length(text);
        const auto first = static_cast<unsigned char>(text.front());
        if (length == 0) {
            return {};
        }
        if (first < 0x20) {
            (result += "\\u00") += {digits[first / 16], digits[first % 16]};
        } else {
            result += first == '"' || first == '\\' ? "\\" : "";
            result += text.substr(0, length);
        }
        text.remove_prefix(length);
    }
    return result + "\"";
}

} // namespace detail

UNMASK_NAMESPACE_END
