// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <unmask/config.hpp>

namespace dlm {

using unmask::index_t;
using unmask::token_t;

/// The names of a checkpoint's tensors. Those of a layer follow `layer`, its number and a dot.
struct tensor_names {
    std::string embedding;
    std::string layer;
    std::string attention_norm;
    std::string query;
    std::string key;
    std::string value;
    std::string attention_output;
    std::string feed_forward_norm;
    std::string gate;
    std::string up;
    std::string down;
    std::string final_norm;
    std::string head;
};

/// What a directory's config.json says of its model: a pre-norm transformer with RMSNorm, rotary positions and SwiGLU.
struct model_config {
    std::string family; ///< "LLaDA", "Dream", "SDAR", "Fast-dLLM v2"
    index_t vocabulary = 0;
    index_t width = 0;
    index_t layers = 0;
    index_t heads = 0;
    index_t key_value_heads = 0;
    index_t head_dim = 0;
    index_t ffn = 0;
    index_t longest = 0; ///< positions that it was trained for
    double rotary_base = 10000;
    double norm_epsilon = 1e-6;
    bool tied = false;            ///< the head is the embedding
    bool projection_bias = false; ///< of queries, keys and values
    bool head_norm = false;       ///< RMSNorm of each query's and key's head
    bool shifts_logits = false;   ///< row i − 1 predicts position i
    index_t block = 0;            ///< positions see their own block and earlier ones; 0: all positions
    token_t mask = 0;
    std::optional<token_t> end;
    tensor_names names;
};

/// Reads config.json. Throws std::runtime_error, with the file and the field, if it can't be read, or if the model is
/// of another kind or has something that this one lacks.
model_config read_model_config(const std::string& path);

} // namespace dlm
