// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tokenizer.hpp"

#include <stdexcept>
#include <utility>

#include "tokenizer_file.hpp"
#include "unicode.hpp"

namespace dlm {

namespace {

void encode_word(const tokenizer_file& file, std::string_view word, std::vector<token_t>& tokens) {
    const auto whole = file.words.find(std::string(word));
    if (whole != file.words.end()) {
        tokens.push_back(whole->second);
    } else {
        file.pairs.encode(word, tokens);
    }
}

void encode_text(const tokenizer_file& file, std::string_view text, std::vector<token_t>& tokens) {
    for (const auto& part : file.verbatim.parts(text)) {
        if (part.id) {
            tokens.push_back(*part.id);
            continue;
        }
        std::string normal(part.text);
        for (const normal_form form : file.forms) {
            normal = normalized(normal, form);
        }
        for (const auto& inner : file.normalized.parts(normal)) {
            if (inner.id) {
                tokens.push_back(*inner.id);
            } else {
                file.splitter.each_word(inner.text, [&](std::string_view word) { encode_word(file, word, tokens); });
            }
        }
    }
}

} // namespace

tokenizer::tokenizer(const std::string& path)
    : file_(std::make_unique<const tokenizer_file>(read_tokenizer_file(path))) {}
tokenizer::tokenizer(tokenizer_file&& file) : file_(std::make_unique<const tokenizer_file>(std::move(file))) {}
tokenizer tokenizer::parse(const std::string& contents, const std::string& name) {
    return tokenizer(parse_tokenizer_file(contents, name));
}
tokenizer::~tokenizer() = default;
tokenizer::tokenizer(tokenizer&&) noexcept = default;
tokenizer& tokenizer::operator=(tokenizer&&) noexcept = default;

std::vector<token_t> tokenizer::encode(std::string_view text, frame_tokens frame) const {
    if (const auto place = first_bad_byte(text)) {
        throw std::invalid_argument("tokenizer::encode: byte " + std::to_string(*place) +
                                    " of the text begins no character, expected UTF-8");
    }
    std::vector<token_t> tokens;
    if (frame == frame_tokens::as_trained) {
        tokens = file_->before;
    }
    encode_text(*file_, text, tokens);
    if (frame == frame_tokens::as_trained) {
        tokens.insert(tokens.end(), file_->after.begin(), file_->after.end());
    }
    return tokens;
}

std::string tokenizer::decode(std::span<const token_t> tokens, bool show_special) const {
    std::string bytes;
    for (const token_t token : tokens) {
        const bool is_known = token >= 0 && token < size() && file_->bytes[static_cast<std::size_t>(token)];
        if (!is_known) {
            bytes += "\xef\xbf\xbd";
        } else if (show_special || file_->special.count(token) == 0) {
            bytes += *file_->bytes[static_cast<std::size_t>(token)];
        }
    }
    return lossy_utf8(bytes);
}

std::optional<token_t> tokenizer::added(std::string_view content) const {
    const auto found = file_->added.find(std::string(content));
    return found == file_->added.end() ? std::nullopt : std::optional(found->second);
}

std::string_view tokenizer::bytes_of(token_t token) const {
    const bool is_known = token >= 0 && token < size() && file_->bytes[static_cast<std::size_t>(token)];
    return is_known ? std::string_view(*file_->bytes[static_cast<std::size_t>(token)]) : std::string_view();
}

token_t tokenizer::size() const {
    return static_cast<token_t>(file_->bytes.size());
}

} // namespace dlm
