// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <unmask/io/safetensors.hpp>

namespace dlm {

using unmask::index_t;

/// A tensor whose numbers look random and are given by its name: those of make_cases.py.
inline unmask::stored_tensor made_tensor(const std::string& name, const std::vector<index_t>& shape) {
    std::uint32_t hash = 2166136261U;
    for (const char character : name) {
        hash = (hash ^ static_cast<unsigned char>(character)) * 16777619U;
    }
    const bool is_gain = name.find("norm") != std::string::npos || name.find("ln_f") != std::string::npos;
    const index_t count = std::accumulate(shape.begin(), shape.end(), index_t{1}, std::multiplies<>());
    const auto values = std::make_shared<std::vector<unmask::bfloat16>>();
    for (index_t i = 0; i < count; ++i) {
        std::uint32_t x = static_cast<std::uint32_t>(i) * 0x9e3779b9U + hash;
        x = (x ^ x >> 16) * 0x7feb352dU;
        x = (x ^ x >> 16) * 0x846ca68bU;
        const double uniform = (x ^ x >> 16) / 0x1p31 - 1.0;
        double value = (is_gain ? 1.0 : 0.0) + 0.3 * uniform;
        if (shape.size() > 1) {
            value = uniform * std::sqrt(3.0 / static_cast<double>(shape[1])) * (is_gain ? 1.0 : 1.5);
        }
        values->emplace_back(static_cast<float>(value));
    }
    return unmask::tensor_values<unmask::bfloat16>{shape, *values, values};
}

/// Writes a directory as a model's publishers do: config.json and, of the tensors with these names and shapes, one file
/// or two shards.
inline void write_made_model(const std::string& folder, const nlohmann::json& config, const nlohmann::json& tensors,
                             bool in_shards) {
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
    std::ofstream(folder + "/config.json") << config;
    const std::vector<std::string> files = in_shards ? std::vector<std::string>{"a.safetensors", "b.safetensors"}
                                                     : std::vector<std::string>{"model.safetensors"};
    std::vector<std::map<std::string, unmask::stored_tensor>> shards(files.size());
    nlohmann::json index{{"weight_map", nlohmann::json::object()}};
    for (std::size_t i = 0; i < tensors.size(); ++i) {
        const auto name = tensors[i][0].get<std::string>();
        shards[i % shards.size()].emplace(name, made_tensor(name, tensors[i][1].get<std::vector<index_t>>()));
        index["weight_map"][name] = files[i % shards.size()];
    }
    for (std::size_t i = 0; i < files.size(); ++i) {
        unmask::write_safetensors(folder + "/" + files[i], shards[i]);
    }
    if (in_shards) {
        std::ofstream(folder + "/model.safetensors.index.json") << index;
    }
}

} // namespace dlm
