// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cmath>
#include <span>

#include <unmask/config.hpp>

#include "layers.hpp"

namespace language_model {

using unmask::token_t;

/// Weighted cross-entropy: the sum over rows of weight · −log softmax(logits)[target], in nats. Replaces the logits by
/// their gradient. Logits [rows, vocabulary]; a row of weight 0 costs nothing and has gradient 0.
///
/// With weight 1 / t on the masked positions, each masked with probability t, this is the bound of masked diffusion on
/// −log p(text) (Sahoo et al., arXiv 2406.07524, eq. 10; Nie et al., arXiv 2502.09992, eq. 3).
inline double weighted_cross_entropy(matrix logits, std::span<const token_t> targets, std::span<const float> weights) {
    const index_t size = logits.extents[1];
    double loss = 0.0;
    for (index_t row = 0; row < logits.extents[0]; ++row) {
        float* x = logits.pointer(row);
        const float weight = weights[static_cast<std::size_t>(row)];
        if (weight == 0.0F) {
            std::fill_n(x, size, 0.0F);
            continue;
        }
        const token_t target = targets[static_cast<std::size_t>(row)];
        float largest = x[0];
#pragma omp simd reduction(max : largest)
        for (index_t i = 0; i < size; ++i) {
            largest = std::max(largest, x[i]);
        }
        const float of_target = x[target] - largest;
        float sum = 0.0F;
#pragma omp simd reduction(+ : sum)
        for (index_t i = 0; i < size; ++i) {
            x[i] = fast_exp(x[i] - largest);
            sum += x[i];
        }
        loss += static_cast<double>(weight) * (std::log(static_cast<double>(sum)) - static_cast<double>(of_target));
        const float scale = weight / sum;
#pragma omp simd
        for (index_t i = 0; i < size; ++i) {
            x[i] *= scale;
        }
        x[target] -= weight;
    }
    return loss;
}

} // namespace language_model
