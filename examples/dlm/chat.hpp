// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <string>

#include "model/model_config.hpp"

namespace dlm {

/// A question as the model's tokenizer_config.json writes it down, up to where the answer begins. An empty system
/// message is the model's own: none, except for Dream and Fast-dLLM v2.
inline std::string chat_prompt(const model_config& config, const std::string& question, const std::string& system) {
    if (config.family == "LLaDA") {
        const auto message = [](const std::string& role, const std::string& text) {
            return "<|start_header_id|>" + role + "<|end_header_id|>\n\n" + text;
        };
        return "<|startoftext|>" + (system.empty() ? "" : message("system", system) + "<|eot_id|>") +
               message("user", question) + "<|eot_id|>" + message("assistant", "");
    }
    const auto message = [](const std::string& role, const std::string& text) {
        return "<|im_start|>" + role + "\n" + text + "<|im_end|>\n";
    };
    std::string first = system;
    if (first.empty() && config.family == "Dream") {
        first = "You are a helpful assistant.";
    } else if (first.empty() && config.family == "Fast-dLLM v2") {
        first = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.";
    }
    return (first.empty() ? "" : message("system", first)) + message("user", question) + "<|im_start|>assistant\n";
}

} // namespace dlm
