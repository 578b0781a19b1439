// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <unmask/config.hpp>

namespace language_model {

/// The words of a text, in order: its longest runs of the letters A–Z and a–z.
inline std::vector<std::string> words_of(std::string_view text) {
    std::vector<std::string> words;
    bool inside = false;
    for (const char character : text) {
        const bool letter = ('A' <= character && character <= 'Z') || ('a' <= character && character <= 'z');
        if (letter && !inside) {
            words.emplace_back();
        }
        if (letter) {
            words.back().push_back(character);
        }
        inside = letter;
    }
    return words;
}

/// Every word of a text once.
inline std::set<std::string> vocabulary_of(std::string_view text) {
    const auto words = words_of(text);
    return {words.begin(), words.end()};
}

/// How many of some words are in a vocabulary.
struct word_count {
    unmask::index_t words = 0;
    unmask::index_t known = 0;

    /// Between 0 and 1; 0 if there are no words.
    [[nodiscard]] double share() const {
        return words == 0 ? 0.0 : static_cast<double>(known) / static_cast<double>(words);
    }
};

/// Looks the words of samples up. The first and the last word of each sample are left out: its edges may cut them.
inline word_count count_known_words(std::span<const std::string> samples, const std::set<std::string>& vocabulary) {
    word_count result;
    for (const std::string& sample : samples) {
        const auto words = words_of(sample);
        for (std::size_t i = 1; i + 1 < words.size(); ++i) {
            ++result.words;
            result.known += vocabulary.count(words[i]) != 0 ? 1 : 0;
        }
    }
    return result;
}

/// Of all runs of so many words in samples, the share that differ from each other: 1 where nothing repeats, 0 if there
/// are none. It falls as samples become longer or more; compare those of one size.
inline double distinct_share(std::span<const std::string> samples, std::size_t length) {
    std::set<std::vector<std::string>> different;
    std::size_t count = 0;
    for (const std::string& sample : samples) {
        const auto words = words_of(sample);
        for (std::size_t i = 0; i + length <= words.size(); ++i) {
            const auto begin = words.begin() + static_cast<std::ptrdiff_t>(i);
            different.emplace(begin, begin + static_cast<std::ptrdiff_t>(length));
            ++count;
        }
    }
    return count == 0 ? 0.0 : static_cast<double>(different.size()) / static_cast<double>(count);
}

} // namespace language_model
