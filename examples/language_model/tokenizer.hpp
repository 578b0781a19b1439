// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <array>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <unmask/config.hpp>

namespace language_model {

using unmask::index_t;
using unmask::token_t;

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

    /// The tokenizer whose alphabet is the distinct characters of a text, sorted.
    static tokenizer of(std::string_view text) {
        std::array<bool, 256> seen{};
        for (const char character : text) {
            seen[static_cast<unsigned char>(character)] = true;
        }
        std::string alphabet;
        for (std::size_t i = 0; i < seen.size(); ++i) {
            if (seen[i]) {
                alphabet.push_back(static_cast<char>(i));
            }
        }
        return tokenizer(std::move(alphabet));
    }

    [[nodiscard]] const std::string& alphabet() const { return alphabet_; }
    /// Number of tokens that can be predicted: the mask is not one of them.
    [[nodiscard]] token_t size() const { return static_cast<token_t>(alphabet_.size()); }
    [[nodiscard]] token_t mask() const { return size(); }
    [[nodiscard]] bool knows(char character) const { return tokens_[static_cast<unsigned char>(character)] >= 0; }

    /// Throws std::invalid_argument at a character outside the alphabet.
    [[nodiscard]] std::vector<token_t> encode(std::string_view text) const {
        std::vector<token_t> tokens;
        tokens.reserve(text.size());
        for (const char character : text) {
            if (!knows(character)) {
                throw std::invalid_argument(std::string("tokenizer: the alphabet has no '") + character + "'");
            }
            tokens.push_back(tokens_[static_cast<unsigned char>(character)]);
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
