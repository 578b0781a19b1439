// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "model_config.hpp"

#include <fstream>
#include <limits>
#include <stdexcept>

#include <nlohmann/json.hpp>

namespace dlm {

namespace {

using nlohmann::json;

[[noreturn]] void fail(const std::string& field, const std::string& was, const std::string& expected) {
    throw std::runtime_error(field + " is " + was + ", expected " + expected);
}

bool is_given(const json& config, const char* name) {
    return config.contains(name) && !config.at(name).is_null();
}

index_t size_of(const json& config, const char* name) {
    constexpr index_t most = std::numeric_limits<std::int32_t>::max();
    const json value = is_given(config, name) ? config.at(name) : json();
    if (!value.is_number_integer() || value.get<index_t>() < 1 || value.get<index_t>() > most) {
        fail(name, value.is_null() ? "missing" : value.dump(), "an integer of at least 1");
    }
    return value.get<index_t>();
}

index_t size_of(const json& config, const char* name, index_t otherwise) {
    return is_given(config, name) ? size_of(config, name) : otherwise;
}

double positive(const json& config, const char* name, double otherwise) {
    if (!is_given(config, name)) {
        return otherwise;
    }
    const json& value = config.at(name);
    if (!value.is_number() || !(value.get<double>() > 0)) {
        fail(name, value.dump(), "a positive number");
    }
    return value.get<double>();
}

bool is_set(const json& config, const char* name) {
    if (!is_given(config, name)) {
        return false;
    }
    if (!config.at(name).is_boolean()) {
        fail(name, config.at(name).dump(), "true or false");
    }
    return config.at(name).get<bool>();
}

// A field that must be missing, null, or this.
void expects(const json& config, const char* name, const json& expected) {
    if (is_given(config, name) && config.at(name) != expected) {
        fail(name, config.at(name).dump(), expected.dump());
    }
}

std::optional<token_t> token_of(const json& config, const char* name) {
    if (!is_given(config, name)) {
        return std::nullopt;
    }
    const json& value = config.at(name);
    const json& first = value.is_array() && !value.empty() ? value.front() : value; // some list several ends
    if (!first.is_number_integer() || first.get<index_t>() < 0) {
        fail(name, value.dump(), "a token");
    }
    return first.get<token_t>();
}

// LLaDA's own names, which are OLMo's.
model_config llada(const json& config) {
    expects(config, "block_type", "llama");
    expects(config, "activation_type", "silu");
    expects(config, "layer_norm_type", "rms");
    expects(config, "rope", true);
    for (const char* name : {"alibi", "attention_layer_norm", "input_emb_norm", "scale_logits", "include_bias",
                             "bias_for_layer_norm", "multi_query_attention"}) {
        expects(config, name, false);
    }
    expects(config, "block_group_size", 1);
    model_config model;
    model.family = "LLaDA";
    model.vocabulary = size_of(config, "embedding_size", size_of(config, "vocab_size"));
    model.width = size_of(config, "d_model");
    model.layers = size_of(config, "n_layers");
    model.heads = size_of(config, "n_heads");
    model.key_value_heads = size_of(config, "n_kv_heads", model.heads);
    model.head_dim = model.width / model.heads;
    model.ffn = size_of(config, "mlp_hidden_size", size_of(config, "mlp_ratio", 4) * model.width);
    model.longest = size_of(config, "max_sequence_length");
    model.norm_epsilon = positive(config, "rms_norm_eps", 1e-5);
    model.tied = is_set(config, "weight_tying");
    model.projection_bias = is_set(config, "include_qkv_bias");
    model.names = {.embedding = "model.transformer.wte",
                   .layer = "model.transformer.blocks.",
                   .attention_norm = "attn_norm",
                   .query = "q_proj",
                   .key = "k_proj",
                   .value = "v_proj",
                   .attention_output = "attn_out",
                   .feed_forward_norm = "ff_norm",
                   .gate = "ff_proj",
                   .up = "up_proj",
                   .down = "ff_out",
                   .final_norm = "model.transformer.ln_f",
                   .head = "model.transformer.ff_out"};
    return model;
}

// The names of Qwen2 and Qwen3, which are Llama's.
model_config qwen(const json& config) {
    expects(config, "hidden_act", "silu");
    expects(config, "use_sliding_window", false);
    model_config model;
    model.vocabulary = size_of(config, "vocab_size");
    model.width = size_of(config, "hidden_size");
    model.layers = size_of(config, "num_hidden_layers");
    model.heads = size_of(config, "num_attention_heads");
    model.key_value_heads = size_of(config, "num_key_value_heads", model.heads);
    model.head_dim = size_of(config, "head_dim", model.width / model.heads);
    model.ffn = size_of(config, "intermediate_size");
    model.longest = size_of(config, "max_position_embeddings");
    model.norm_epsilon = positive(config, "rms_norm_eps", 1e-6);
    model.tied = is_set(config, "tie_word_embeddings");
    model.names = {.embedding = "model.embed_tokens",
                   .layer = "model.layers.",
                   .attention_norm = "input_layernorm",
                   .query = "self_attn.q_proj",
                   .key = "self_attn.k_proj",
                   .value = "self_attn.v_proj",
                   .attention_output = "self_attn.o_proj",
                   .feed_forward_norm = "post_attention_layernorm",
                   .gate = "mlp.gate_proj",
                   .up = "mlp.up_proj",
                   .down = "mlp.down_proj",
                   .final_norm = "model.norm",
                   .head = "lm_head"};
    return model;
}

model_config model_of(const json& config) {
    const json type = is_given(config, "model_type") ? config.at("model_type") : json();
    if (type == "llada") {
        return llada(config);
    }
    if (type == "Dream") {
        model_config model = qwen(config);
        model.family = "Dream";
        model.projection_bias = true;
        model.shifts_logits = true;
        return model;
    }
    if (type == "sdar") {
        model_config model = qwen(config);
        model.family = "SDAR";
        model.projection_bias = is_set(config, "attention_bias");
        model.head_norm = true;
        model.block = size_of(config, "block_size", 4);
        model.mask = 151669; // its config.json may not say
        return model;
    }
    if (type == "Fast_dLLM_Qwen") {
        model_config model = qwen(config);
        model.family = "Fast-dLLM v2";
        model.projection_bias = true;
        model.shifts_logits = true;
        model.block = size_of(config, "bd_size", 32);
        model.mask = 151665; // likewise
        return model;
    }
    fail("model_type", type.is_null() ? "missing" : type.dump(), "llada, Dream, sdar or Fast_dLLM_Qwen");
}

model_config checked(model_config model, const json& config) {
    // Transformers 5 has the rotary base in an object of its own.
    const json rotary = is_given(config, "rope_parameters") ? config.at("rope_parameters") : config;
    if (is_given(config, "rope_scaling") || (rotary.contains("rope_type") && rotary.at("rope_type") != "default")) {
        fail("rope_scaling", "given", "none");
    }
    model.rotary_base = positive(rotary, "rope_theta", model.rotary_base);
    model.mask = token_of(config, "mask_token_id").value_or(model.mask);
    model.end = token_of(config, "eos_token_id");
    const auto below = [&](const char* name, index_t was, index_t bound) {
        if (was >= bound) {
            fail(name, std::to_string(was), "below " + std::to_string(bound) + ", the size of the vocabulary");
        }
    };
    below("mask_token_id", model.mask, model.vocabulary);
    below("eos_token_id", model.end.value_or(0), model.vocabulary);
    if (model.mask == 0) {
        fail("mask_token_id", "missing", "a token");
    }
    if (model.heads % model.key_value_heads != 0) {
        fail("the number of key and value heads", std::to_string(model.key_value_heads),
             "a divisor of " + std::to_string(model.heads) + ", the number of heads");
    }
    if (model.head_dim % 2 != 0) {
        fail("the elements of a head", std::to_string(model.head_dim), "an even number");
    }
    return model;
}

} // namespace

model_config read_model_config(const std::string& path) {
    std::ifstream stream(path);
    if (!stream) {
        throw std::runtime_error(path + ": can't be opened");
    }
    try {
        const json config = json::parse(stream);
        if (!config.is_object()) {
            fail("the file", config.type_name(), "an object");
        }
        return checked(model_of(config), config);
    } catch (const std::exception& error) {
        throw std::runtime_error(path + ": " + error.what());
    }
}

} // namespace dlm
