// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
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

// The words of PTX text, without comments. The last one is the end.
std::vector<token> tokens_of(std::string_view text);

} // namespace ptx
