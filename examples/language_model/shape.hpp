// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <optional>
#include <string>
#include <tuple>

#include "integers.hpp"

namespace language_model {

using namespace examples;

/// Larger sizes are mistakes: no file of theirs would fit on a disk.
inline constexpr index_t most_width = 1 << 16;
inline constexpr index_t most_vocabulary = 1 << 20;
inline constexpr index_t most_layers = 1 << 12;
/// Characters of a text.
inline constexpr index_t most_length = 1 << 16;

/// A size that no model can have, and what it should be.
struct size_fault {
    const char* name;
    index_t was;
    std::string expected;
};

/// The sizes of a model. Width is a multiple of heads, and width / heads is even.
struct model_shape {
    index_t vocabulary = 0; ///< tokens that can be predicted; the embedding has one more row, for the mask
    index_t width = 192;
    index_t layers = 5;
    index_t heads = 3;
    index_t ffn = 512;        ///< inner width of the feed-forward layers
    bool output_gate = false; ///< attention's output is multiplied by σ(x W), x what went into it (arXiv 2505.06708)
    bool mixes_neighbours = false; ///< a position begins with what two matrices make of its neighbours' embeddings, too

    [[nodiscard]] index_t head_dim() const { return width / heads; }

    /// The first size that is wrong, if one is.
    [[nodiscard]] std::optional<size_fault> fault() const {
        for (const auto& [name, size, most] : {std::tuple("width", width, most_width),
                                               {"layers", layers, most_layers},
                                               {"heads", heads, most_width},
                                               {"ffn", ffn, most_width}}) {
            if (const integers valid{1, most}; !valid.contains(size)) {
                return size_fault{name, size, valid.description()};
            }
        }
        if (width % (2 * heads) != 0) {
            return size_fault{"width", width, "an even multiple of the heads (" + std::to_string(heads) + ")"};
        }
        return {};
    }

    friend bool operator==(const model_shape&, const model_shape&) = default;
};

/// What a tensor of weights is for; it decides how the tensor starts and whether it decays.
enum class role {
    weight,      ///< of a matrix product: starts random, decays
    projections, ///< three of them side by side: to queries, keys and values
    residual,    ///< of a matrix product whose result is added to the stream: starts random and smaller, decays
    head,        ///< of the matrix product that predicts: starts random, decays
    embedding,   ///< looked up or used as it is: starts random
    gain,        ///< starts at 1
    bias,        ///< starts at 0
};

/// Is it of a matrix product inside the model? Muon changes such weights.
constexpr bool is_for_muon(role purpose) {
    return purpose == role::weight || purpose == role::projections || purpose == role::residual;
}
constexpr bool decays(role purpose) {
    return is_for_muon(purpose) || purpose == role::head;
}

} // namespace language_model
