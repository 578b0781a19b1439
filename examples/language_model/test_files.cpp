// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// What is read and written: text, tokens, tensors.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "corpus.hpp"
#include "layers.hpp"
#include "tokenizer.hpp"

using namespace language_model;

namespace {
std::string temporary(const char* name) {
    return (std::filesystem::temp_directory_path() / name).string();
}
} // namespace

TEST_CASE("text becomes tokens and text again") {
    const std::string verse = "Jesus wept.\n";
    const tokenizer letters = tokenizer::of(verse);
    CHECK(letters.alphabet() == "\n .Jepstuw");
    CHECK(letters.size() == 10);
    CHECK(letters.mask() == 10);
    std::vector<token_t> tokens = letters.encode(verse);
    CHECK(letters.decode(tokens) == verse);
    tokens[0] = letters.mask();
    CHECK(letters.decode(tokens) == "_esus wept.\n");
    CHECK(letters.knows('J'));
    CHECK_FALSE(letters.knows('j'));
    CHECK_THROWS_AS(tokenizer("abca"), std::invalid_argument);
}

TEST_CASE("a character outside the alphabet is shown whole") {
    const tokenizer letters("\nab");
    const auto complaint = [&](const char* text) {
        try {
            return std::to_string(letters.encode(text, "--prompt").size());
        } catch (const std::invalid_argument& error) {
            return std::string(error.what());
        }
    };
    const std::string expected = ", expected characters of the alphabet '\\nab'";
    CHECK(complaint("ab\n") == "3");
    CHECK(complaint("abc") == "--prompt has 'c'" + expected);
    CHECK(complaint("a\u00e9b") == "--prompt has '\u00e9'" + expected);
    CHECK(complaint("\u65e5\u672c") == "--prompt has '\u65e5'" + expected);
    CHECK(complaint("\U0001f600") == "--prompt has '\U0001f600'" + expected);
    CHECK(complaint("\xe9") == "--prompt has '\\xe9'" + expected);
    CHECK(complaint("\xe6\x97") == "--prompt has '\\xe6'" + expected);
    CHECK(complaint("\x1b[2J") == "--prompt has '\\x1b'" + expected);
}

TEST_CASE("an alphabet is characters that can be seen, each once") {
    CHECK(is_alphabet("\n\t ~!a_"));
    for (const char* text : {"", "aa", "a\xe9", "\u00e9", "a\x1b", "\r", "\x7f"}) {
        CHECK_FALSE(is_alphabet(text));
    }
    CHECK_FALSE(is_alphabet(std::string(1, '\0')));
    CHECK_THROWS_WITH_AS(tokenizer::of("Amélie"),
                         "the text has 'é', expected characters of ASCII that can be seen, newline or tab",
                         std::invalid_argument);
}

TEST_CASE("a verse loses its reference and nothing else") {
    CHECK(without_reference("Ge1:1 In the beginning") == "In the beginning");
    CHECK(without_reference("1Jo5:7 For there are three") == "For there are three");
    CHECK(without_reference("And he said: 12 are here") == "And he said: 12 are here");
    CHECK(without_reference("Note: see above") == "Note: see above");
    CHECK(without_reference("1:2") == "1:2");
    CHECK(without_reference("").empty());
}

TEST_CASE("the last twentieth of the lines is held out") {
    std::string text;
    for (int line = 0; line < 100; ++line) {
        text += "Ps1:" + std::to_string(line) + " line " + std::to_string(line) + "\n";
    }
    const corpus parts = split(text);
    CHECK(parts.training.starts_with("line 0\nline 1\n"));
    CHECK(parts.training.ends_with("line 94\n"));
    CHECK(parts.held_out == "line 95\nline 96\nline 97\nline 98\nline 99\n");
}

TEST_CASE("fast_exp agrees with std::exp") {
    double worst = 0.0;
    for (int i = -8700; i <= 8700; ++i) {
        const float x = static_cast<float>(i) * 0.01F;
        const double exact = std::exp(static_cast<double>(x));
        const double error = std::abs(static_cast<double>(fast_exp(x)) - exact) / exact;
        worst = std::max(worst, std::isnan(error) ? INFINITY : error);
    }
    CHECK(worst < 6e-6); // x · log2(e) is rounded to float: up to 2^-24 · 126 · ln(2) of it
    CHECK(fast_exp(0.0F) == 1.0F);
    CHECK(fast_exp(-1000.0F) < 1e-37F);
}
