// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// A directory like a published model's, with made weights: to try the program, and to time it.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <stdexcept>
#include <string>

#include "command_line.hpp"
#include "model/made_model.hpp"
#include "model/model_config.hpp"

namespace {

using nlohmann::json;
using unmask::index_t;

constexpr const char* help =
    R"(usage: dlm_make_model --model DIRECTORY [options]

Writes config.json, tokenizer.json and a checkpoint of made weights, in bfloat16.

  --family NAME          LLaDA, Dream, SDAR or Fast-dLLM-v2 (LLaDA)
  --size small|published few and narrow layers, or the width of the published model of 7 or 8 billion weights (small)
  --layers N             (2)
  --shards               two files instead of one
)";

struct shape {
    index_t width, heads, key_value_heads, head_dim, ffn, vocabulary;
};

shape shape_of(const std::string& family, const std::string& size) {
    if (size == "small") {
        return {64, 4, 2, 16, 160, 600};
    }
    if (family == "LLaDA") {
        return {4096, 32, 32, 128, 12288, 126464};
    }
    return family == "SDAR" ? shape{4096, 32, 8, 128, 12288, 151936} : shape{3584, 28, 4, 128, 18944, 152064};
}

json config_of(const std::string& family, const shape& s, index_t layers, index_t mask) {
    if (family == "LLaDA") {
        return {{"model_type", "llada"},       {"block_type", "llama"},      {"d_model", s.width},
                {"n_layers", layers},          {"n_heads", s.heads},         {"n_kv_heads", s.key_value_heads},
                {"mlp_hidden_size", s.ffn},    {"vocab_size", s.vocabulary}, {"embedding_size", s.vocabulary},
                {"max_sequence_length", 4096}, {"rms_norm_eps", 1e-5},       {"rope_theta", 500000.0},
                {"mask_token_id", mask}};
    }
    json config{{"hidden_size", s.width},         {"num_hidden_layers", layers},
                {"num_attention_heads", s.heads}, {"num_key_value_heads", s.key_value_heads},
                {"head_dim", s.head_dim},         {"intermediate_size", s.ffn},
                {"vocab_size", s.vocabulary},     {"max_position_embeddings", 4096},
                {"rope_theta", 1000000.0},        {"mask_token_id", mask}};
    config["model_type"] = family == "Dream" ? "Dream" : family == "SDAR" ? "sdar" : "Fast_dLLM_Qwen";
    return config;
}

// Names and shapes as a checkpoint of this configuration has them.
json tensors_of(const dlm::model_config& c) {
    json tensors = json::array();
    const auto add = [&](const std::string& name, std::initializer_list<index_t> extents) {
        tensors.push_back({name, extents});
    };
    const auto linear = [&](const std::string& name, index_t outputs, index_t inputs, bool bias = false) {
        add(name + ".weight", {outputs, inputs});
        if (bias) {
            add(name + ".bias", {outputs});
        }
    };
    linear(c.names.embedding, c.vocabulary, c.width);
    for (index_t i = 0; i < c.layers; ++i) {
        const std::string layer = c.names.layer + std::to_string(i) + ".";
        add(layer + c.names.attention_norm + ".weight", {c.width});
        linear(layer + c.names.query, c.heads * c.head_dim, c.width, c.projection_bias);
        linear(layer + c.names.key, c.key_value_heads * c.head_dim, c.width, c.projection_bias);
        linear(layer + c.names.value, c.key_value_heads * c.head_dim, c.width, c.projection_bias);
        linear(layer + c.names.attention_output, c.width, c.heads * c.head_dim);
        if (c.head_norm) {
            add(layer + "self_attn.q_norm.weight", {c.head_dim});
            add(layer + "self_attn.k_norm.weight", {c.head_dim});
        }
        add(layer + c.names.feed_forward_norm + ".weight", {c.width});
        linear(layer + c.names.gate, c.ffn, c.width);
        linear(layer + c.names.up, c.ffn, c.width);
        linear(layer + c.names.down, c.width, c.ffn);
    }
    add(c.names.final_norm + ".weight", {c.width});
    linear(c.names.head, c.vocabulary, c.width);
    return tensors;
}

void make(examples::command_line& options) {
    const std::string folder = options.text("model", "");
    const std::string family = options.text("family", "LLaDA");
    const std::string size = options.text("size", "small");
    const index_t layers = options.integer("layers", 2, {1, 1000});
    const bool shards = options.flag("shards");
    options.finish();
    if (folder.empty() || (family != "LLaDA" && family != "Dream" && family != "SDAR" && family != "Fast-dLLM-v2") ||
        (size != "small" && size != "published")) {
        throw std::invalid_argument("expected --model DIRECTORY, a family and a size as --help lists them");
    }
    const shape s = shape_of(family, size);
    const bool is_llama = family == "LLaDA";
    const json config = config_of(family, s, layers, is_llama ? 562 : 563); // the masks of these tokenizers
    dlm::write_made_model(folder, config, json::array(), false);
    const dlm::model_config read = dlm::read_model_config(folder + "/config.json");
    dlm::write_made_model(folder, config, tensors_of(read), shards);
    std::filesystem::copy_file(std::string(TOKENIZER_CASES) + (is_llama ? "/llama.json" : "/qwen.json"),
                               folder + "/tokenizer.json", std::filesystem::copy_options::overwrite_existing);
}

} // namespace

int main(int count, char** arguments) {
    try {
        examples::command_line options(count, arguments);
        if (options.flag("help")) {
            std::fputs(help, stdout);
            return 0;
        }
        make(options);
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "dlm_make_model: %s\n", error.what());
        return 1;
    }
}
