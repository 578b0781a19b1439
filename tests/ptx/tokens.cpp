// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tokens.hpp"

#include <algorithm>
#include <cctype>

namespace ptx {
namespace {

bool is_digit(char c) {
    return std::isdigit(static_cast<unsigned char>(c)) != 0;
}
bool starts_word(char c) {
    return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '$' || c == '%' || c == '.';
}
bool continues_word(std::string_view text, std::size_t i) {
    // A colon belongs to a word in "ld.shared::cta", and not after a label.
    return starts_word(text[i]) || is_digit(text[i]) ||
           (text[i] == ':' && (text.substr(i, 2) == "::" || text[i - 1] == ':'));
}
bool continues_number(std::string_view text, std::size_t i) {
    return std::isalnum(static_cast<unsigned char>(text[i])) != 0 || text[i] == '.';
}

template <class Continues>
std::size_t end_of(std::string_view text, std::size_t begin, const Continues& continues) {
    std::size_t end = begin + 1;
    while (end < text.size() && continues(text, end)) {
        ++end;
    }
    return end;
}

} // namespace

std::vector<token> tokens_of(std::string_view text) {
    std::vector<token> result;
    int line = 1;
    const auto from = [&](std::string_view what, std::size_t begin) {
        return std::min(text.find(what, begin), text.size());
    };
    for (std::size_t i = 0; i < text.size();) {
        const char c = text[i];
        if (std::isspace(static_cast<unsigned char>(c)) != 0) {
            line += c == '\n' ? 1 : 0;
            ++i;
        } else if (text.substr(i, 2) == "//") {
            i = from("\n", i);
        } else if (text.substr(i, 2) == "/*") {
            const std::size_t end = from("*/", i + 2);
            line += static_cast<int>(std::count(text.begin() + static_cast<std::ptrdiff_t>(i),
                                                text.begin() + static_cast<std::ptrdiff_t>(end), '\n'));
            i = end + 2;
        } else if (c == '"') {
            const std::size_t end = from("\"", i + 1);
            result.push_back({token_kind::string, std::string(text.substr(i + 1, end - i - 1)), line, i, end + 1});
            i = end + 1;
        } else if (starts_word(c) || is_digit(c)) {
            const bool is_word = starts_word(c);
            const std::size_t end = is_word ? end_of(text, i, continues_word) : end_of(text, i, continues_number);
            result.push_back(
                {is_word ? token_kind::word : token_kind::number, std::string(text.substr(i, end - i)), line, i, end});
            i = end;
        } else {
            result.push_back({token_kind::punctuation, std::string(1, c), line, i, i + 1});
            ++i;
        }
    }
    result.push_back({token_kind::end, "", line, text.size(), text.size()});
    return result;
}

} // namespace ptx
