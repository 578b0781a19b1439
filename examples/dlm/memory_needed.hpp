// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstdio>
#include <string>

#include <unmask/io/safetensors.hpp>

#include "model/decoder.hpp"

namespace dlm {

/// What a run takes of memory, in bytes.
struct memory_needed {
    double weights = 0;     ///< mapped: the system keeps as much of the file as there is room for
    double activations = 0; ///< of a pass over the whole text
    double cache = 0;       ///< keys and values of all layers
    double logits = 0;      ///< of the positions that are masked at first

    /// Of a text of `length` tokens, of which `masked` are to be written.
    memory_needed(const model_config& config, const unmask::safetensors_file& file, index_t length, index_t masked,
                  bool keeps_keys) {
        for (const auto& [name, tensor] : file.tensors) {
            weights += static_cast<double>(tensor.bytes.size());
        }
        const auto positions = static_cast<double>(length);
        activations =
            pass_memory::bytes(config, length) + sizeof(float) * positions * static_cast<double>(config.head_dim);
        if (keeps_keys || config.block > 0) {
            cache = sizeof(float) * 2.0 * positions *
                    static_cast<double>(config.layers * config.key_value_heads * config.head_dim);
        }
        const index_t rows = config.block > 0 ? std::min(config.block, masked) : masked;
        logits = sizeof(float) * static_cast<double>(rows) * static_cast<double>(config.vocabulary);
    }

    [[nodiscard]] double all() const { return weights + activations + cache + logits; }

    /// "16.0 GB for weights, …".
    [[nodiscard]] std::string sentence() const {
        char text[160];
        std::snprintf(text, sizeof text,
                      "memory: %.2f GB (weights %.2f, activations %.2f, keys and values %.2f, logits %.2f)",
                      all() / 1e9, weights / 1e9, activations / 1e9, cache / 1e9, logits / 1e9);
        return text;
    }
};

} // namespace dlm
