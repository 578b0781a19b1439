// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <vector>

#include "weights.hpp"

namespace language_model {

/// Floating-point operations that training needs for a token: 2 for each weight of a matrix product and twice as many
/// for its gradients; in attention 4 · length · width in each layer, and 8 for its gradients. What is computed twice,
/// lookups, norms and the optimiser's own work are left out, so that a share of a processor's peak is no flattery.
inline double training_flops_a_token(const std::vector<tensor_place>& places, const model_shape& shape,
                                     index_t length) {
    index_t weights = 0;
    for (const tensor_place& place : places) {
        weights += decays(place.purpose) ? place.size() : 0; // those of products
    }
    return 6.0 * static_cast<double>(weights) + 12.0 * static_cast<double>(shape.layers * shape.width * length);
}

} // namespace language_model
