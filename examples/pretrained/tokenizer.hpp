// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <unmask/io/safetensors.hpp>
#include <unmask/io/shown.hpp>
#include <unmask/sampler/canvas.hpp>

#include "models.hpp"
#include "word_piece.hpp"

namespace pretrained {

/// In a text: a token that is hidden.
inline constexpr char blank_character = '_';

/// The first token of a SMILES text: an atom in brackets or without, a bond, a branch, a ring's number, …, as
/// RXNMapper's own tokenizer cuts them. Empty if there is none.
inline std::string_view first_smiles_token(std::string_view text) {
    const auto at = [&](std::size_t i) { return i < text.size() ? text[i] : '\0'; };
    const auto digit = [&](std::size_t i) { return at(i) >= '0' && at(i) <= '9'; };
    constexpr std::string_view alone = "NOSPFIbcnosp().=#-+\\/:~@?*$0123456789";
    if (at(0) == '[') {
        const std::size_t end = text.find(']');
        return end == std::string_view::npos || end == 1 ? text.substr(0, 0) : text.substr(0, end + 1);
    }
    if (at(0) == '%') {
        return text.substr(0, digit(1) && digit(2) ? 3 : 0);
    }
    if (at(0) == 'B' || at(0) == 'C' || at(0) == '>') {
        const char second = at(0) == 'B' ? 'r' : at(0) == 'C' ? 'l' : '>';
        return text.substr(0, at(1) == second ? 2 : 1);
    }
    return text.substr(0, at(0) != '\0' && alone.find(at(0)) != std::string_view::npos ? 1 : 0);
}

/// Between text and tokens of a model.
class tokenizer {
public:
    /// With the tokens that fetch.py left in a model's file. Throws unmask::file_error if there are none, or none that
    /// frame a text.
    tokenizer(const unmask::safetensors_file& file, const model_description& model) : kind_(model.tokens) {
        const auto list = file.metadata.find("tokens");
        if (list == file.metadata.end()) {
            throw unmask::file_error(file.name, "'tokens' of the metadata", "missing",
                                     "the vocabulary, a token a line");
        }
        for (std::string_view left = list->second; !left.empty();) {
            const std::size_t end = std::min(left.find('\n'), left.size());
            numbers_.emplace(left.substr(0, end), static_cast<token_t>(texts_.size()));
            texts_.emplace_back(left.substr(0, end));
            left.remove_prefix(std::min(end + 1, left.size()));
        }
        const auto required = [&](std::string_view token) {
            const auto found = numbers_.find(token);
            if (found == numbers_.end()) {
                throw unmask::file_error(file.name, "token " + unmask::shown(token), "missing",
                                         "one of the vocabulary");
            }
            return found->second;
        };
        begin_ = required(model.begin);
        end_ = required(model.end);
        mask_ = required(model.mask);
    }

    [[nodiscard]] index_t size() const { return std::ssize(texts_); }
    [[nodiscard]] token_t begin() const { return begin_; }
    [[nodiscard]] token_t end() const { return end_; }
    [[nodiscard]] token_t mask() const { return mask_; }

    /// A token's own text.
    [[nodiscard]] const std::string& text_of(token_t token) const { return texts_.at(static_cast<std::size_t>(token)); }

    /// The tokens that stand for no text: the frame, the mask, and unused ones.
    [[nodiscard]] std::vector<token_t> special() const {
        std::vector<token_t> tokens;
        for (std::size_t i = 0; i < texts_.size(); ++i) {
            const std::string& text = texts_[i];
            const bool letters = kind_ == tokens_of_text::letters && text.size() > 1;
            const bool named = text == "[PAD]" || text == "[UNK]" || text == "[CLS]" || text == "[SEP]" ||
                               text == "[MASK]" || text.starts_with("[unused");
            if (letters || named) {
                tokens.push_back(static_cast<token_t>(i));
            }
        }
        return tokens;
    }

    /// The tokens of a text in its frame; unmask::blank for each underscore. Throws std::invalid_argument for what is
    /// no text of the model.
    [[nodiscard]] std::vector<token_t> encode(std::string_view text) const {
        std::vector<token_t> tokens = {begin_};
        for (std::size_t at = 0; at < text.size();) {
            const std::size_t end = std::min(text.find(blank_character, at), text.size());
            append(text.substr(at, end - at), tokens);
            at = std::min(text.find_first_not_of(blank_character, end), text.size());
            tokens.insert(tokens.end(), at - end, unmask::blank);
        }
        tokens.push_back(end_);
        return tokens;
    }

    /// The text of tokens, without their frame; an underscore for what is hidden.
    [[nodiscard]] std::string decode(std::span<const token_t> tokens) const {
        std::string text;
        for (const token_t token : tokens) {
            if (token == mask_ || token == unmask::blank) {
                text += blank_character;
            } else if (token != begin_ && token != end_) {
                const std::string& piece = text_of(token);
                const bool part = kind_ == tokens_of_text::word_piece && piece.starts_with("##");
                text += kind_ == tokens_of_text::word_piece && !part && !text.empty() ? " " : "";
                text += part ? piece.substr(2) : piece;
            }
        }
        return text;
    }

private:
    void append(std::string_view text, std::vector<token_t>& tokens) const {
        if (kind_ == tokens_of_text::word_piece) {
            for (const std::string& piece :
                 word_pieces(text, [&](const std::string& p) { return numbers_.contains(p); })) {
                tokens.push_back(number_of(piece, "[UNK]"));
            }
            return;
        }
        while (!text.empty()) {
            const std::string_view first = kind_ == tokens_of_text::letters
                                               ? text.substr(0, unmask::character_size(text))
                                               : first_smiles_token(text);
            if (first.empty()) {
                throw std::invalid_argument("the text goes on with " + unmask::shown(text) + ", expected SMILES");
            }
            tokens.push_back(number_of(first, numbers_.contains("<unk>") ? "<unk>" : "[UNK]"));
            text.remove_prefix(first.size());
        }
    }

    [[nodiscard]] token_t number_of(std::string_view text, std::string_view otherwise) const {
        const auto found = numbers_.find(text);
        if (found != numbers_.end()) {
            return found->second;
        }
        const auto unknown = numbers_.find(otherwise);
        if (unknown == numbers_.end()) {
            throw std::invalid_argument("the text has " + unmask::shown(text) + ", which the vocabulary lacks");
        }
        return unknown->second;
    }

    tokens_of_text kind_;
    std::vector<std::string> texts_;
    std::map<std::string, token_t, std::less<>> numbers_;
    token_t begin_ = 0;
    token_t end_ = 0;
    token_t mask_ = 0;
};

} // namespace pretrained
