// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace dlm {

/// Where a text stops being UTF-8: the offset of the first byte of no character. Nothing if it is UTF-8 throughout.
std::optional<std::size_t> first_bad_byte(std::string_view text);

/// UTF-8 of any bytes: each longest beginning of a character that isn't finished, and each byte that begins none,
/// becomes U+FFFD, as the Unicode Standard recommends (chapter 3, “U+FFFD Substitution of Maximal Subparts”).
std::string lossy_utf8(std::string_view bytes);

/// The code point that begins at text[i], which becomes the start of the next one. The text must be UTF-8.
char32_t next_code_point(std::string_view text, std::size_t& i);

/// How many columns of a terminal a character takes: 0, for one that joins the character before, to 2. Nothing for
/// those that a terminal obeys.
std::optional<int> columns_of(char32_t code);

enum class normal_form { nfc, nfd, nfkc, nfkd };

/// A text in a Unicode normal form. The text must be UTF-8.
std::string normalized(std::string_view text, normal_form form);

} // namespace dlm
