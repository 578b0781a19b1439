// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <unmask/config.hpp>

#include "regex.hpp"

namespace dlm {

using unmask::token_t;

/// A token that stands in a text as it is, outside of all words: `<|im_start|>`.
struct added_token {
    std::string content;
    token_t id;
    bool single_word; ///< only where no letter or digit touches it
    bool strip_left;  ///< takes the white space before it
    bool strip_right; ///< takes the white space behind it
};

/// Finds added tokens in a text.
class added_tokens {
public:
    explicit added_tokens(std::vector<added_token> tokens) : tokens_(std::move(tokens)) {
        std::stable_sort(tokens_.begin(), tokens_.end(), [](const added_token& a, const added_token& b) {
            return a.content.size() > b.content.size();
        });
        for (std::size_t i = 0; i < tokens_.size(); ++i) {
            if (!tokens_[i].content.empty()) {
                by_first_byte_[static_cast<unsigned char>(tokens_[i].content.front())].push_back(i);
            }
        }
    }

    /// A part of a text: an added token, or text between them.
    struct part {
        std::string_view text;
        std::optional<token_t> id;
    };

    /// All parts of a text, in order. Of tokens that begin at one place, the longest is meant.
    [[nodiscard]] std::vector<part> parts(std::string_view text) const {
        std::vector<part> parts;
        std::size_t done = 0;
        for (std::size_t i = 0; i < text.size();) {
            const added_token* token = longest_at(text, i);
            if (token == nullptr) {
                ++i;
                continue;
            }
            std::size_t begin = i;
            std::size_t end = i + token->content.size();
            i = end;
            if (token->single_word && (word_ends(text.substr(0, begin)) || word_starts(text.substr(end)))) {
                continue;
            }
            if (token->strip_left) {
                begin = std::max(done, start_of_last_space(text.substr(0, begin)));
            }
            if (token->strip_right) {
                end += spaces_.match_at_start(text.substr(end));
                i = end;
            }
            if (begin > done) {
                parts.push_back({text.substr(done, begin - done), std::nullopt});
            }
            parts.push_back({text.substr(begin, end - begin), token->id});
            done = end;
        }
        if (done < text.size()) {
            parts.push_back({text.substr(done), std::nullopt});
        }
        return parts;
    }

private:
    [[nodiscard]] const added_token* longest_at(std::string_view text, std::size_t place) const {
        for (const std::size_t i : by_first_byte_[static_cast<unsigned char>(text[place])]) {
            if (text.substr(place, tokens_[i].content.size()) == tokens_[i].content) {
                return &tokens_[i];
            }
        }
        return nullptr;
    }

    // Where the last character of a text begins.
    static std::size_t last_character(std::string_view text) {
        std::size_t begin = text.size() - 1;
        while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xc0U) == 0x80U) {
            --begin;
        }
        return begin;
    }

    [[nodiscard]] bool word_starts(std::string_view text) const { return letter_.match_at_start(text) > 0; }
    [[nodiscard]] bool word_ends(std::string_view text) const {
        return !text.empty() && word_starts(text.substr(last_character(text)));
    }
    [[nodiscard]] std::size_t start_of_last_space(std::string_view text) const {
        while (!text.empty() && spaces_.match_at_start(text.substr(last_character(text))) > 0) {
            text = text.substr(0, last_character(text));
        }
        return text.size();
    }

    std::vector<added_token> tokens_; ///< the longest first
    std::array<std::vector<std::size_t>, 256> by_first_byte_;
    regex letter_{R"([\p{L}\p{M}\p{N}\p{Pc}\x{200c}\x{200d}])"};
    regex spaces_{R"(\s*)"};
};

} // namespace dlm
