// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tokens.hpp"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <stdexcept>

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

// The last one is the end.
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

} // namespace

token_reader::token_reader(std::string_view text) : text_(text), tokens_(tokens_of(text)) {}

const token& token_reader::peek(std::size_t ahead) const {
    return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
}
const token& token_reader::next() {
    return tokens_[at_ < tokens_.size() - 1 ? at_++ : at_];
}
bool token_reader::is(const char* text) const {
    return peek().text == text && peek().kind != token_kind::string;
}
bool token_reader::skip(const char* text) {
    const bool found = is(text);
    if (found) {
        next();
    }
    return found;
}
void token_reader::expect(const char* text) {
    if (!skip(text)) {
        fail(std::string("expected '") + text + "'");
    }
}
void token_reader::skip_line() {
    const int line = peek().line;
    while (peek().line == line && peek().kind != token_kind::end) {
        next();
    }
}
void token_reader::skip_braces() {
    int depth = 0;
    do {
        depth += is("{") ? 1 : is("}") ? -1 : 0;
        next();
    } while (depth > 0 && peek().kind != token_kind::end);
}

std::int64_t token_reader::number() {
    const bool negative = skip("-");
    if (peek().kind != token_kind::number) {
        fail("expected a number");
    }
    const std::string text = next().text;
    char* end = nullptr;
    const auto value = static_cast<std::int64_t>(std::strtoull(text.c_str(), &end, 0));
    if (*end != '\0' && std::string_view(end) != "U") {
        fail("not a whole number: " + text);
    }
    return negative ? -value : value;
}
bool token_reader::is_real() const {
    const std::string& text = peek().text;
    return peek().kind == token_kind::number && text.size() > 2 && text[0] == '0' &&
           std::string_view("fFdD").find(text[1]) != std::string_view::npos;
}
std::int64_t token_reader::real_bits() {
    return static_cast<std::int64_t>(std::strtoull(next().text.c_str() + 2, nullptr, 16));
}

std::string token_reader::text_since(std::size_t place) const {
    const std::size_t begin = tokens_[place].begin;
    return std::string(text_.substr(begin, tokens_[at_ - 1].end - begin));
}

void token_reader::fail(const std::string& what) const {
    throw std::runtime_error("PTX line " + std::to_string(peek().line) + ": " + what + " before '" + peek().text + "'");
}

} // namespace ptx
