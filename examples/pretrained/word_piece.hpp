// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <unmask/io/shown.hpp>

namespace pretrained {

namespace detail {
// ASCII's signs, and the dashes, quotation marks and dots of U+2010 to U+205F.
inline bool is_punctuation(std::string_view character) {
    if (character.size() == 1) {
        const char c = character[0];
        return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
    }
    return character.starts_with("\xe2\x80") || character.starts_with("\xe2\x81");
}
} // namespace detail

/// The words of a text as BERT's uncased models cut them: at space and around each punctuation mark, in lower case.
/// Letters beyond ASCII are taken as they are, with their accents.
inline std::vector<std::string> words_of(std::string_view text) {
    std::vector<std::string> words;
    bool inside = false;
    while (!text.empty()) {
        const std::string_view character = text.substr(0, unmask::character_size(text));
        text.remove_prefix(character.size());
        const bool space = character.size() == 1 && static_cast<unsigned char>(character[0]) <= ' ';
        const bool mark = !space && detail::is_punctuation(character);
        if (!space && (!inside || mark)) {
            words.emplace_back();
        }
        if (!space) {
            const bool capital = character[0] >= 'A' && character[0] <= 'Z';
            words.back() +=
                capital ? std::string(1, static_cast<char>(character[0] - 'A' + 'a')) : std::string(character);
        }
        inside = !space && !mark;
    }
    return words;
}

/// WordPiece (Wu et al., arXiv 1609.08144): each word in the longest pieces that known(piece) knows, from the left;
/// those that do not begin a word begin with ##. A word that can't be cut so is [UNK].
template <class Known>
std::vector<std::string> word_pieces(std::string_view text, const Known& known) {
    std::vector<std::string> pieces;
    for (const std::string& word : words_of(text)) {
        std::vector<std::string> of_word;
        for (std::size_t at = 0; at < word.size();) {
            std::size_t size = word.size() - at;
            const auto piece = [&] { return (at > 0 ? "##" : "") + word.substr(at, size); };
            while (size > 0 && !known(piece())) {
                --size;
            }
            if (size == 0) {
                of_word = {"[UNK]"};
                break;
            }
            of_word.push_back(piece());
            at += size;
        }
        pieces.insert(pieces.end(), of_word.begin(), of_word.end());
    }
    return pieces;
}

} // namespace pretrained
