// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <unmask/io/shown.hpp>

#include "token_kind.hpp"
#include "tokenizer.hpp"
#include "tokenizer/tokenizer.hpp"

namespace language_model {

/// Between texts and the tokens of a model. One token more than can be predicted, the mask, stands for what is not
/// known yet.
class text_codec {
public:
    /// Throws std::runtime_error if the kind is broken.
    explicit text_codec(const token_kind& kind) : characters_(kind.alphabet) {
        if (!kind.byte_pairs.empty()) {
            pairs_.emplace(dlm::tokenizer::parse(kind.byte_pairs, "the tokenizer"));
        }
    }

    [[nodiscard]] bool has_byte_pairs() const { return pairs_.has_value(); }
    /// Number of tokens that can be predicted.
    [[nodiscard]] token_t size() const { return pairs_ ? pairs_->size() : characters_.size(); }
    [[nodiscard]] token_t mask() const { return size(); }

    /// Throws std::invalid_argument at what no token stands for, with what the text is called.
    [[nodiscard]] std::vector<token_t> encode(std::string_view text, const std::string& name = "the text") const {
        if (!pairs_) {
            return characters_.encode(text, name);
        }
        try {
            return pairs_->encode(text);
        } catch (const std::invalid_argument& error) {
            throw std::invalid_argument(name + ": " + error.what());
        }
    }

    /// The mask, and what a terminal would obey, becomes `blank`.
    [[nodiscard]] std::string decode(std::span<const token_t> tokens, char blank = '_') const {
        if (!pairs_) {
            return characters_.decode(tokens, blank);
        }
        std::string text;
        for (std::size_t begin = 0; begin < tokens.size();) { // characters may be spread over tokens
            const auto is_known = [this](token_t token) { return token >= 0 && token < size(); };
            const auto end =
                std::find_if_not(tokens.begin() + static_cast<std::ptrdiff_t>(begin), tokens.end(), is_known) -
                tokens.begin();
            text += pairs_->decode(tokens.subspan(begin, static_cast<std::size_t>(end) - begin));
            begin = static_cast<std::size_t>(end);
            for (; begin < tokens.size() && !is_known(tokens[begin]); ++begin) {
                text += blank;
            }
        }
        for (std::size_t i = 0; i < text.size(); ++i) { // UTF-8: U+0080 … U+009F begin with 0xc2
            const bool is_ascii = static_cast<unsigned char>(text[i]) < 0x80;
            const bool is_late = text[i] == '\xc2' && static_cast<unsigned char>(text[i + 1]) < 0xa0;
            text[i] = (is_ascii && !is_plain(text[i])) || is_late ? blank : text[i];
            if (is_late) {
                text[++i] = blank;
            }
        }
        return text;
    }

    /// How many bytes of text each token of a text stands for.
    [[nodiscard]] std::vector<index_t> lengths(std::span<const token_t> tokens) const {
        std::vector<index_t> result;
        result.reserve(tokens.size());
        for (const token_t& token : tokens) {
            result.push_back(pairs_ ? std::ssize(pairs_->bytes_of(token)) : 1);
        }
        return result;
    }

private:
    tokenizer characters_;
    std::optional<dlm::tokenizer> pairs_;
};

} // namespace language_model
