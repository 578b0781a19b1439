// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include "checkpoint.hpp"
#include "cuda/generate_on_gpu.hpp"
#include "variant.hpp"

namespace language_model {

/// A checkpoint as the GPU takes it. Throws file_error if the file holds no model.
inline trained_model trained_model_of(const safetensors_file& file) {
    const model_card card = card_of(file);
    return {card,
            with_variant(card.sink, card.shape, [&](const auto& model) { return weights_of(file, model.places()); })};
}

} // namespace language_model
