// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// What the program says and shows, besides the models and the tokenizer.
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "chat.hpp"
#include "memory_needed.hpp"
#include "token_cells.hpp"

namespace {

using examples::cell;
using examples::look;

dlm::model_config family(const std::string& name) {
    dlm::model_config config;
    config.family = name;
    return config;
}

} // namespace

TEST_CASE("a question is put as the models' cards have it") {
    CHECK(dlm::chat_prompt(family("LLaDA"), "Hi?", "") ==
          "<|startoftext|><|start_header_id|>user<|end_header_id|>\n\nHi?<|eot_id|>"
          "<|start_header_id|>assistant<|end_header_id|>\n\n");
    CHECK(dlm::chat_prompt(family("LLaDA"), "Hi?", "Be brief.") ==
          "<|startoftext|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
          "<|start_header_id|>user<|end_header_id|>\n\nHi?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n");
    CHECK(dlm::chat_prompt(family("SDAR"), "Hi?", "") == "<|im_start|>user\nHi?<|im_end|>\n<|im_start|>assistant\n");
    CHECK(dlm::chat_prompt(family("Dream"), "Hi?", "") == "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
                                                          "<|im_start|>user\nHi?<|im_end|>\n<|im_start|>assistant\n");
}

TEST_CASE("cells are characters, however many tokens they are made of, and nothing that a terminal obeys") {
    const dlm::tokenizer words(std::string(TOKENIZER_CASES) + "/qwen.json");
    const auto show = [&](const std::string& prompt, unmask::index_t masked) {
        unmask::canvas page(unmask::vocabulary{600, 563, {}});
        page.add(words.encode(prompt), masked);
        std::string text;
        unmask::index_t columns = 0;
        for (const cell& each : dlm::token_cells(page, {}, words)) {
            CHECK(each.appearance == (each.character == " " && masked > 0 ? look::masked : look::given));
            text += each.character + "|";
            columns += each.columns;
        }
        return text + std::to_string(columns);
    };
    CHECK(show("aé世👍", 0) == "a|é|世|👍|6");
    CHECK(show("e\u0302\u0323", 0) == "ệ|1"); // in normal form
    CHECK(show("x\u0337\u0338y", 0) == "x\u0337\u0338|y|2");
    CHECK(show("\x1b[31m\u202e", 0) == "\ufffd|[|3|1|m|\ufffd|6");
    CHECK(show("a", 2) == "a| | |3");
}

TEST_CASE("memory is foretold") {
    dlm::model_config config = family("LLaDA");
    config.width = 8;
    config.heads = config.key_value_heads = 2;
    config.head_dim = 4;
    config.ffn = 16;
    config.layers = 3;
    config.vocabulary = 100;
    const std::vector<float> weights(50);
    unmask::safetensors_file file;
    file.tensors.emplace("a", unmask::stored_tensor(unmask::tensor_values<float>{{50}, weights, {}}));
    const dlm::memory_needed memory(config, file, /*length=*/10, /*masked=*/6, /*keeps_keys=*/true);
    CHECK(memory.weights == 200.0);
    CHECK(memory.activations == 4.0 * 10 * (2 * (8 + 4 * 4 + 16) + 2 + 4));
    CHECK(memory.cache == 4.0 * 2 * 10 * 3 * 2 * 4);
    CHECK(memory.logits == 4.0 * 6 * 100);
    CHECK(memory.all() == memory.weights + memory.activations + memory.cache + memory.logits);
}
