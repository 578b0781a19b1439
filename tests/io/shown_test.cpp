// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include <unmask/io/shown.hpp>

using namespace unmask;

TEST_CASE("other people's text is shown on one line, and no terminal obeys it") {
    CHECK(shown("") == "''");
    CHECK(shown("it's 5 ~") == "'it's 5 ~'");
    CHECK(shown("a\nb\t\x7f") == "'a\\nb\\x09\\x7f'");
    CHECK(shown("\u0080\u009f\u00a0") == "'\\xc2\\x80\\xc2\\x9f\u00a0'");
    CHECK(shown("\xc3(\xff\xf5\x80\xc0\x80") == "'\\xc3(\\xff\\xf5\\x80\\xc0\\x80'");
    CHECK(shown(std::string(80, 'x')) == "'" + std::string(80, 'x') + "'");
    CHECK(shown(std::string(81, 'x')) == "'" + std::string(80, 'x') + "…'");
    std::string accents;
    for (int i = 0; i < 100; ++i) {
        accents += "\u00e9";
    }
    CHECK(shown(accents) == "'" + accents.substr(0, 160) + "…'");
    for (int a = 0; a < 256; ++a) { // two bytes: as they are, or as digits
        for (int b = 0; b < 256; ++b) {
            const std::string text = {static_cast<char>(a), static_cast<char>(b)};
            const bool letter = a >= 0xc2 && a < 0xe0 && b >= 0x80 && b < 0xc0;
            CHECK(character_size(text) == (letter ? 2 : 1));
            const std::string result = shown(text);
            CHECK(std::all_of(result.begin(), result.end(), [&](char c) { return c >= 0x20 ? c < 0x7f : letter; }));
        }
    }
}
