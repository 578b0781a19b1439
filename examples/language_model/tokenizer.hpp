// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <array>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/io/shown.hpp>

namespace language_model {

using unmask::character_size;
using unmask::index_t;
using unmask::shown;
using unmask::token_t;

/// May an alphabet have it: is it ASCII that can be seen, newline or tab? What a model writes goes to a terminal, which
/// must not obey it.
inline bool is_plain(char character) {
    return (character >= 0x20 && character < 0x7f) || character == '\n' || character == '\t';
}

/// Can a text be an alphabet: plain characters, each once?
inline bool is_alphabet(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), is_plain) &&
           std::set<char>(text.begin(), text.end()).size() == text.size();
}

/// One token a character: the tokens 0, 1, … are the characters of an alphabet, in its order. One more token, the mask,
/// stands for a character that is not known yet; it is an input only and can't be predicted.
class tokenizer {
public:
    /// The alphabet's characters, each once. Throws std::invalid_argument if one comes twice.
    explicit tokenizer(std::string alphabet) : alphabet_(std::move(alphabet)) {
        tokens_.fill(-1);
        for (std::size_t i = 0; i < alphabet_.size(); ++i) {
            token_t& token = tokens_[static_cast<unsigned char>(alphabet_[i])];
            if (token >= 0) {
                throw std::invalid_argument("tokenizer: the alphabet holds a character twice");
            }
            token = static_cast<token_t>(i);
        }
    }

    /// The tokenizer whose alphabet is the distinct characters of a text, sorted. Throws std::invalid_argument unless
    /// they are plain.
    static tokenizer of(std::string_view text) {
        if (const auto wrong = std::find_if_not(text.begin(), text.end(), is_plain); wrong != text.end()) {
            const std::string_view rest(wrong, text.end());
            throw std::invalid_argument("the text has " + shown(rest.substr(0, character_size(rest))) +
                                        ", expected characters of ASCII that can be seen, newline or tab");
        }
        const std::set<char> characters(text.begin(), text.end());
        return tokenizer({characters.begin(), characters.end()});
    }

    [[nodiscard]] const std::string& alphabet() const { return alphabet_; }
    /// Number of tokens that can be predicted: the mask is not one of them.
    [[nodiscard]] token_t size() const { return static_cast<token_t>(alphabet_.size()); }
    [[nodiscard]] token_t mask() const { return size(); }
    [[nodiscard]] bool knows(char character) const { return tokens_[static_cast<unsigned char>(character)] >= 0; }

    /// Throws std::invalid_argument at a character outside the alphabet, with what the text is called.
    [[nodiscard]] std::vector<token_t> encode(std::string_view text, const std::string& name = "the text") const {
        std::vector<token_t> tokens;
        tokens.reserve(text.size());
        for (std::size_t i = 0; i < text.size(); ++i) {
            if (!knows(text[i])) {
                const std::string_view rest = text.substr(i);
                throw std::invalid_argument(name + " has " + shown(rest.substr(0, character_size(rest))) +
                                            ", expected characters of the alphabet " + shown(alphabet_));
            }
            tokens.push_back(tokens_[static_cast<unsigned char>(text[i])]);
        }
        return tokens;
    }

    /// The mask, and any token outside the alphabet, becomes `blank`.
    [[nodiscard]] std::string decode(std::span<const token_t> tokens, char blank = '_') const {
        std::string text(tokens.size(), blank);
        std::transform(tokens.begin(), tokens.end(), text.begin(), [&](token_t token) {
            return token >= 0 && token < size() ? alphabet_[static_cast<std::size_t>(token)] : blank;
        });
        return text;
    }

private:
    std::string alphabet_;
    std::array<token_t, 256> tokens_{};
};

} // namespace language_model
