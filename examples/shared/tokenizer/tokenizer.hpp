// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <unmask/config.hpp>

namespace dlm {

using unmask::token_t;

struct tokenizer_file;

/// Does a text get the tokens with which the model saw texts begin and end?
enum class frame_tokens { none, as_trained };

/// A byte-level byte-pair tokenizer as `tokenizer.json` describes it (Hugging Face's format): that of LLaDA, Dream,
/// SDAR, Qwen, Llama 3 and GPT-2. Gives the tokens of the `tokenizers` package. Safe to use from several threads.
class tokenizer {
public:
    /// Reads tokenizer.json. Throws std::runtime_error, with the file and the field, if it can't be read, is broken,
    /// or asks for what this class does not have, so that no text is ever cut otherwise than in training.
    explicit tokenizer(const std::string& path);
    /// The same of the contents of such a file, which messages call by a name.
    static tokenizer parse(const std::string& contents, const std::string& name);
    ~tokenizer();
    tokenizer(tokenizer&&) noexcept;
    tokenizer& operator=(tokenizer&&) noexcept;

    /// A text's tokens. Added tokens in it, as `<|im_start|>`, become themselves. With frame_tokens::as_trained come
    /// those that the file puts round every text. Throws std::invalid_argument if the text is not UTF-8.
    [[nodiscard]] std::vector<token_t> encode(std::string_view text, frame_tokens frame = frame_tokens::none) const;

    /// What tokens stand for, as UTF-8: bytes that are part of no character become U+FFFD, and so do tokens that the
    /// file doesn't know, for models' vocabularies may be longer. Special tokens are left out, unless they are to be
    /// shown.
    [[nodiscard]] std::string decode(std::span<const token_t> tokens, bool show_special = false) const;

    /// The token of an added token's content; nothing if there is none.
    [[nodiscard]] std::optional<token_t> added(std::string_view content) const;

    /// The bytes that a token stands for; none if there is no such token.
    [[nodiscard]] std::string_view bytes_of(token_t token) const;

    /// The highest token, and one.
    [[nodiscard]] token_t size() const;

private:
    explicit tokenizer(tokenizer_file&& file);

    std::unique_ptr<const tokenizer_file> file_;
};

} // namespace dlm
