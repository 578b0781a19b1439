// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ptx {

enum class token_kind { word, number, string, punctuation, end };

struct token {
    token_kind kind;
    std::string text;
    int line;
    std::size_t begin, end; // in the text of all
};

// Reads the words of PTX text one after the other. What is not as expected throws std::runtime_error.
class token_reader {
public:
    explicit token_reader(std::string_view text);

    // Without comments; behind the last, the end for ever.
    [[nodiscard]] const token& peek(std::size_t ahead = 0) const;
    const token& next();
    [[nodiscard]] bool is(const char* text) const;
    // Whether it was there; then it is read.
    bool skip(const char* text);
    void expect(const char* text);
    void skip_line();
    void skip_braces();

    // A whole number, with a sign.
    std::int64_t number();
    // 0f… or 0d…, the bits of a floating-point number.
    [[nodiscard]] bool is_real() const;
    std::int64_t real_bits();

    // The text from an earlier place up to here.
    [[nodiscard]] std::size_t place() const { return at_; }
    [[nodiscard]] std::string text_since(std::size_t place) const;

    [[noreturn]] void fail(const std::string& what) const;

private:
    std::string_view text_;
    std::vector<token> tokens_;
    std::size_t at_ = 0;
};

} // namespace ptx
