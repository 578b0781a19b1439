// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <unmask/io/safetensors.hpp>
#include <unmask/random/philox.hpp>

#include "models.hpp"

namespace pretrained {

/// A file of random weights with the tensors of a model, each of the right rank and all of them small: heads of 4
/// columns, and embeddings narrower than the model if these are mapped. Its vocabulary is the model's letters.
inline unmask::safetensors_file made_file(const model_description& model, std::uint32_t seed) {
    unmask::safetensors_file file;
    file.name = "made";
    std::uint32_t number = 0;
    const auto add = [&](const std::string& name, std::vector<index_t> shape, float center, float spread) {
        std::size_t size = 1;
        for (const index_t extent : shape) {
            size *= static_cast<std::size_t>(extent);
        }
        const auto values = std::make_shared<std::vector<float>>(size);
        const unmask::philox generator{{seed, ++number}};
        for (std::size_t i = 0; i < size; ++i) {
            const auto words = generator({static_cast<std::uint32_t>(i), 0, 0, 0});
            const double uniform = unmask::uniform_open(words[0], words[1]);
            (*values)[i] = center + spread * static_cast<float>(2.0 * uniform - 1.0);
        }
        file.tensors[name] = unmask::tensor_values<float>{std::move(shape), *values, values};
        file.tensors[name].file = file.name;
        file.tensors[name].name = name;
    };
    const tensor_names& names = model.names;
    const index_t width = 4 * model.heads;
    const index_t embedding = names.map.empty() ? width : width / 2;
    const index_t ffn = 2 * width + 4;
    const auto linear = [&](const std::string& name, index_t outputs, index_t inputs) {
        add(name + ".weight", {outputs, inputs}, 0.0F, 3.0F / std::sqrt(static_cast<float>(inputs)));
        add(name + ".bias", {outputs}, 0.0F, 0.5F);
    };
    const auto norm = [&](const std::string& name, index_t size) {
        add(name + ".weight", {size}, 1.0F, 0.5F);
        add(name + ".bias", {size}, 0.0F, 0.5F);
    };
    const bool antibody = model.begin == "<s>";
    std::string tokens = antibody ? "<s>\n<pad>\n</s>\n<unk>" : "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]";
    for (const char letter : std::string("ACDEFGHIKLMNPQRSTVWY")) {
        tokens += std::string("\n") + letter;
    }
    file.metadata["tokens"] = tokens + (antibody ? "\n<mask>" : "");
    add(std::string(names.words), {25, embedding}, 0.0F, 1.0F);
    add(std::string(names.positions), {40 + model.first_position, embedding}, 0.0F, 1.0F);
    if (!names.types.empty()) {
        add(std::string(names.types), {2, embedding}, 0.0F, 1.0F);
    }
    norm(std::string(names.embedding_norm), embedding);
    if (!names.map.empty()) {
        linear(std::string(names.map), width, embedding);
    }
    const std::size_t place = names.layer.find("{}");
    for (index_t layer = 0; layer < (place == std::string::npos ? 1 : model.layers); ++layer) {
        std::string prefix(names.layer);
        if (place != std::string::npos) {
            prefix.replace(place, 2, std::to_string(layer));
        }
        for (const auto name : {names.query, names.key, names.value, names.attended}) {
            linear(prefix + std::string(name), width, width);
        }
        norm(prefix + std::string(names.attention_norm), width);
        linear(prefix + std::string(names.up), ffn, width);
        linear(prefix + std::string(names.down), width, ffn);
        norm(prefix + std::string(names.output_norm), width);
    }
    if (!names.head.empty()) {
        linear(std::string(names.head), embedding, width);
        norm(std::string(names.head_norm), embedding);
        add(std::string(names.head_bias), {25}, 0.0F, 1.0F);
    }
    return file;
}

} // namespace pretrained
