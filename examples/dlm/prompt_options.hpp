// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <string>
#include <vector>

#include "chat.hpp"
#include "command_line.hpp"
#include "model/model_config.hpp"
#include "tokenizer/tokenizer.hpp"

namespace dlm {

/// The tokens of --prompt, put as the model's chat template has it, with --system before it; with --raw, as it is.
/// Throws std::invalid_argument, in the words of the command line.
inline std::vector<token_t> prompt_of(examples::command_line& options, const model_config& config,
                                      const tokenizer& words) {
    options.refuse_beside("system", "raw", "a raw prompt has no template");
    const std::string text = options.text("prompt", "");
    const std::string system = options.text("system", "");
    return options.flag("raw") ? words.encode(text, frame_tokens::as_trained)
                               : words.encode(chat_prompt(config, text, system));
}

} // namespace dlm
