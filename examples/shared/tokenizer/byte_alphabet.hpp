// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "unicode.hpp"

namespace dlm {

/// The alphabet in which byte-level vocabularies are written, GPT-2's: a character for every byte. The printable bytes
/// of Latin-1 stand for themselves; the other 68, in their order, are U+0100, U+0101, ….
class byte_alphabet {
public:
    constexpr byte_alphabet() {
        bytes_.fill(-1);
        std::size_t next = 0x100;
        for (int byte = 0; byte < 256; ++byte) {
            const bool printable = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte != 0xad);
            bytes_[printable ? static_cast<std::size_t>(byte) : next++] = byte;
        }
    }

    /// What a word of the alphabet stands for; nothing if it has other characters. The word must be UTF-8.
    [[nodiscard]] std::optional<std::string> bytes_of(std::string_view word) const {
        std::string bytes;
        for (std::size_t i = 0; i < word.size();) {
            const char32_t code = next_code_point(word, i);
            if (code >= bytes_.size() || bytes_[code] < 0) {
                return std::nullopt;
            }
            bytes += static_cast<char>(bytes_[code]);
        }
        return bytes;
    }

private:
    std::array<int, 0x100 + 68> bytes_{}; ///< of a character; −1: of none
};

} // namespace dlm
