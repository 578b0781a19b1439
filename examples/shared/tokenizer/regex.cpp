// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "regex.hpp"

#include <array>
#include <cstdint>
#include <stdexcept>
#include <utility>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

namespace dlm {

namespace {

/// The pattern with \s and \S spelled out: to PCRE2 U+180E is a space, to Unicode since 6.3 it is not.
std::string with_unicode_spaces(const std::string& pattern) {
    const std::string spaces = R"(\t-\r \x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})";
    std::string result;
    bool in_class = false;
    for (std::size_t i = 0; i < pattern.size(); ++i) {
        if (pattern[i] != '\\' || i + 1 == pattern.size()) {
            in_class = pattern[i] == '[' || (in_class && pattern[i] != ']');
            result += pattern[i];
            continue;
        }
        const char escaped = pattern[++i];
        if (escaped == 's') {
            result += in_class ? spaces : "[" + spaces + "]";
        } else if (escaped == 'S' && !in_class) {
            result += "[^" + spaces + "]";
        } else {
            result += {'\\', escaped};
        }
    }
    return result;
}

std::string message(int error) {
    std::array<PCRE2_UCHAR, 256> text{};
    pcre2_get_error_message(error, text.data(), text.size());
    return reinterpret_cast<const char*>(text.data());
}

} // namespace

struct regex::compiled {
    explicit compiled(const std::string& source) {
        const std::string pattern = with_unicode_spaces(source);
        int error = 0;
        PCRE2_SIZE place = 0;
        code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(), PCRE2_UTF | PCRE2_UCP,
                             &error, &place, nullptr);
        if (code == nullptr) {
            throw std::runtime_error("the pattern " + source + " is no regular expression: " + message(error));
        }
        pcre2_jit_compile(code, PCRE2_JIT_COMPLETE); // where it can't, pcre2_match interprets
    }
    compiled(const compiled&) = delete;
    compiled& operator=(const compiled&) = delete;
    ~compiled() { pcre2_code_free(code); }

    pcre2_code* code;
};

namespace {

/// Looks for matches in one text, from left to right.
class search {
public:
    search(const pcre2_code* code, std::string_view text)
        : code_(code), text_(text), match_(pcre2_match_data_create_from_pattern(code, nullptr), pcre2_match_data_free) {
    }

    /// Is there a match at or behind a place? It is [begin(), end()) then.
    bool next(std::size_t from, std::uint32_t options) {
        const int count = pcre2_match(code_, reinterpret_cast<PCRE2_SPTR>(text_.data()), text_.size(), from,
                                      options | PCRE2_NO_UTF_CHECK, match_.get(), nullptr);
        if (count < 0 && count != PCRE2_ERROR_NOMATCH) {
            throw std::runtime_error("a text can't be split: " + message(count));
        }
        return count >= 0;
    }
    [[nodiscard]] std::size_t begin() const { return pcre2_get_ovector_pointer(match_.get())[0]; }
    [[nodiscard]] std::size_t end() const { return pcre2_get_ovector_pointer(match_.get())[1]; }

private:
    const pcre2_code* code_;
    std::string_view text_;
    std::unique_ptr<pcre2_match_data, void (*)(pcre2_match_data*)> match_;
};

} // namespace

regex::regex(const std::string& pattern) : compiled_(std::make_unique<compiled>(pattern)) {}
regex::~regex() = default;
regex::regex(regex&&) noexcept = default;
regex& regex::operator=(regex&&) noexcept = default;

regex regex::literal(std::string_view text) {
    std::string pattern;
    for (const char character : text) {
        const bool special = std::string_view(R"(\^$.[]|()?*+{}-#)").find(character) != std::string_view::npos;
        pattern += special ? std::string{'\\', character} : std::string{character};
    }
    return regex(pattern);
}

std::vector<text_part> regex::parts(std::string_view text) const {
    std::vector<text_part> parts;
    search matches(compiled_->code, text);
    std::size_t done = 0;
    while (done < text.size() && matches.next(done, PCRE2_NOTEMPTY)) {
        if (matches.begin() > done) {
            parts.push_back({text.substr(done, matches.begin() - done), false});
        }
        parts.push_back({text.substr(matches.begin(), matches.end() - matches.begin()), true});
        done = matches.end();
    }
    if (done < text.size()) {
        parts.push_back({text.substr(done), false});
    }
    return parts;
}

std::size_t regex::match_at_start(std::string_view text) const {
    search match(compiled_->code, text);
    return match.next(0, PCRE2_ANCHORED) ? match.end() : 0;
}

} // namespace dlm
