// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <array>
#include <stdexcept>
#include <string>
#include <string_view>

#include <unmask/config.hpp>

// The models that the programs know: what can't be seen in their files.

namespace pretrained {

using unmask::index_t;
using unmask::token_t;

/// How a text becomes tokens.
enum class tokens_of_text {
    letters,   ///< a letter a token
    smiles,    ///< an atom, a bond, a bracket, … of a molecule's SMILES a token
    word_piece ///< parts of words, in lower case (Devlin et al., arXiv 1810.04805)
};

/// The names of an encoder's tensors; each linear map and norm has `.weight` and `.bias`. A layer's begin with `layer`,
/// in which {} is its number. A model without it has no {}: one layer is used again and again.
struct tensor_names {
    std::string_view words, positions;
    std::string_view types; ///< of which row 0 is added; empty: none
    std::string_view embedding_norm;
    std::string_view map; ///< from the embeddings' width to the model's; empty: they are the same
    std::string_view layer;
    std::string_view query, key, value, attended, attention_norm;
    std::string_view up, down, output_norm;
    std::string_view head, head_norm, head_bias; ///< empty: the model predicts nothing
};

/// An encoder that others trained.
struct model_description {
    std::string_view name;
    std::string_view package; ///< for fetch.py
    index_t layers, heads;
    double epsilon;         ///< of the layer norms
    index_t first_position; ///< the row of the positions' table that position 0 has
    tokens_of_text tokens;
    std::string_view begin, end, mask; ///< tokens: the frame of a text, and what hides one
    tensor_names names;
};

namespace detail {

// RoBERTa as fairseq names it.
constexpr tensor_names fairseq_names = {
    .words = "decoder.sentence_encoder.embed_tokens.weight",
    .positions = "decoder.sentence_encoder.embed_positions.weight",
    .types = "",
    .embedding_norm = "decoder.sentence_encoder.emb_layer_norm",
    .map = "",
    .layer = "decoder.sentence_encoder.layers.{}.",
    .query = "self_attn.q_proj",
    .key = "self_attn.k_proj",
    .value = "self_attn.v_proj",
    .attended = "self_attn.out_proj",
    .attention_norm = "self_attn_layer_norm",
    .up = "fc1",
    .down = "fc2",
    .output_norm = "final_layer_norm",
    .head = "decoder.lm_head.dense",
    .head_norm = "decoder.lm_head.layer_norm",
    .head_bias = "decoder.lm_head.bias",
};

// BERT as transformers names it.
constexpr tensor_names bert_names = {
    .words = "bert.embeddings.word_embeddings.weight",
    .positions = "bert.embeddings.position_embeddings.weight",
    .types = "bert.embeddings.token_type_embeddings.weight",
    .embedding_norm = "bert.embeddings.LayerNorm",
    .map = "",
    .layer = "bert.encoder.layer.{}.",
    .query = "attention.self.query",
    .key = "attention.self.key",
    .value = "attention.self.value",
    .attended = "attention.output.dense",
    .attention_norm = "attention.output.LayerNorm",
    .up = "intermediate.dense",
    .down = "output.dense",
    .output_norm = "output.LayerNorm",
    .head = "cls.predictions.transform.dense",
    .head_norm = "cls.predictions.transform.LayerNorm",
    .head_bias = "cls.predictions.bias",
};

// The same without a head, and without "bert.".
constexpr tensor_names headless_bert_names() {
    tensor_names names = bert_names;
    for (std::string_view* name : {&names.words, &names.positions, &names.types, &names.embedding_norm, &names.layer}) {
        name->remove_prefix(std::string_view("bert.").size());
    }
    names.head = names.head_norm = names.head_bias = "";
    return names;
}

// ALBERT (Lan et al., arXiv 1909.11942) as transformers names it.
constexpr tensor_names albert_names = {
    .words = "albert.embeddings.word_embeddings.weight",
    .positions = "albert.embeddings.position_embeddings.weight",
    .types = "albert.embeddings.token_type_embeddings.weight",
    .embedding_norm = "albert.embeddings.LayerNorm",
    .map = "albert.encoder.embedding_hidden_mapping_in",
    .layer = "albert.encoder.albert_layer_groups.0.albert_layers.0.",
    .query = "attention.query",
    .key = "attention.key",
    .value = "attention.value",
    .attended = "attention.dense",
    .attention_norm = "attention.LayerNorm",
    .up = "ffn",
    .down = "ffn_output",
    .output_norm = "full_layer_layer_norm",
    .head = "predictions.dense",
    .head_norm = "predictions.LayerNorm",
    .head_bias = "predictions.bias",
};

constexpr model_description sapiens(std::string_view name) {
    return {.name = name,
            .package = "sapiens",
            .layers = 4,
            .heads = 8,
            .epsilon = 1e-5,
            .first_position = 2, // fairseq counts from the number of its padding token on
            .tokens = tokens_of_text::letters,
            .begin = "<s>",
            .end = "</s>",
            .mask = "<mask>",
            .names = fairseq_names};
}

constexpr model_description bert(std::string_view name, index_t layers, index_t heads, tokens_of_text tokens,
                                 const tensor_names& names) {
    return {.name = name,
            .package = name,
            .layers = layers,
            .heads = heads,
            .epsilon = 1e-12,
            .first_position = 0,
            .tokens = tokens,
            .begin = "[CLS]",
            .end = "[SEP]",
            .mask = "[MASK]",
            .names = names};
}

} // namespace detail

/// The models: human antibodies (Sapiens, one for each chain), antibodies (AntiBERTy), chemical reactions (RXNMapper),
/// and English sentences (all-MiniLM-L6-v2, which predicts nothing).
inline constexpr std::array<model_description, 5> models = {
    detail::sapiens("sapiens_heavy"), detail::sapiens("sapiens_light"),
    detail::bert("antiberty", 8, 8, tokens_of_text::letters, detail::bert_names),
    detail::bert("rxnmapper", 12, 8, tokens_of_text::smiles, detail::albert_names),
    detail::bert("minilm", 6, 12, tokens_of_text::word_piece, detail::headless_bert_names())};

/// One of them. Throws std::invalid_argument for another name.
inline const model_description& model_of_name(std::string_view name) {
    std::string list;
    for (const model_description& each : models) {
        if (each.name == name) {
            return each;
        }
        list += (list.empty() ? "" : &each == &models.back() ? " or " : ", ") + std::string(each.name);
    }
    throw std::invalid_argument("--model is '" + std::string(name) + "', expected " + list);
}

} // namespace pretrained
