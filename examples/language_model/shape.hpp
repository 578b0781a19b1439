// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include "blas.hpp"

namespace language_model {

/// The sizes of a model. Width is a multiple of heads, and width / heads is even.
struct model_shape {
    index_t vocabulary = 0; ///< tokens that can be predicted; the embedding has one more row, for the mask
    index_t width = 192;
    index_t layers = 5;
    index_t heads = 3;
    index_t ffn = 512;        ///< inner width of the feed-forward layers
    bool output_gate = false; ///< attention's output is multiplied by σ(x W), x what went into it (arXiv 2505.06708)

    [[nodiscard]] index_t head_dim() const { return width / heads; }
    friend bool operator==(const model_shape&, const model_shape&) = default;
};

/// What a tensor of weights is for; it decides how the tensor starts and whether it decays.
enum class role {
    weight,    ///< of a matrix product: starts random, decays
    residual,  ///< of a matrix product whose result is added to the stream: starts random and smaller, decays
    embedding, ///< looked up or used as it is: starts random
    gain,      ///< starts at 1
    bias,      ///< starts at 0
};

} // namespace language_model
