// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "regex.hpp"

namespace dlm {

/// What becomes of the matches when a text is split at them: tokenizer.json's "behavior".
enum class split_behavior { isolated, removed, contiguous, merged_with_previous, merged_with_next };

/// One way to split a text into words.
struct word_split {
    regex pattern;
    split_behavior behavior = split_behavior::isolated;
    bool invert = false; ///< what lies between matches counts as match, and the reverse

    /// The words of a text, none of them empty.
    [[nodiscard]] std::vector<std::string_view> words(std::string_view text) const {
        std::vector<text_part> parts = pattern.parts(text);
        std::vector<std::string_view> words;
        bool joins = false; // the last word takes the next part
        for (std::size_t i = 0; i < parts.size(); ++i) {
            const bool is_match = parts[i].is_match != invert;
            const bool was_match = i > 0 && (parts[i - 1].is_match != invert);
            switch (behavior) {
            case split_behavior::isolated:
                joins = false;
                break;
            case split_behavior::removed:
                joins = false;
                break;
            case split_behavior::contiguous:
                joins = i > 0 && is_match == was_match;
                break;
            case split_behavior::merged_with_previous:
                joins = i > 0 && is_match && !was_match;
                break;
            case split_behavior::merged_with_next:
                joins = i > 0 && !is_match && was_match;
                break;
            }
            if (behavior == split_behavior::removed && is_match) {
                continue;
            }
            if (joins) { // parts lie beside each other
                words.back() = {words.back().data(), words.back().size() + parts[i].text.size()};
            } else {
                words.push_back(parts[i].text);
            }
        }
        return words;
    }
};

/// Splits texts into the words in which byte pairs are merged: tokenizer.json's "pre_tokenizer".
struct word_splitter {
    std::vector<word_split> splits; ///< each splits the words of the one before
    bool leading_space = false;     ///< a word that begins with none gets one, before the last split
    std::optional<word_split> last;

    /// Calls take(word) for each word of a text, in order. The text must be UTF-8.
    template <class Take>
    void each_word(std::string_view text, const Take& take) const {
        std::vector<std::string_view> words{text};
        for (const word_split& split : splits) {
            words = split_all(split, words);
        }
        for (const std::string_view word : words) {
            const std::string spaced = leading_space && word.substr(0, 1) != " " ? " " + std::string(word) : "";
            const std::string_view whole = spaced.empty() ? word : std::string_view(spaced);
            const auto parts = last ? last->words(whole) : std::vector{whole};
            std::for_each(parts.begin(), parts.end(), take);
        }
    }

private:
    static std::vector<std::string_view> split_all(const word_split& split,
                                                   const std::vector<std::string_view>& words) {
        std::vector<std::string_view> result;
        for (const std::string_view word : words) {
            const auto parts = split.words(word);
            result.insert(result.end(), parts.begin(), parts.end());
        }
        return result;
    }
};

} // namespace dlm
