// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>

#include <unmask/config.hpp>
#include <unmask/error.hpp>

UNMASK_NAMESPACE_BEGIN

/// The state of one row's attention over some of its keys. States of other keys can be merged with it in any grouping,
/// as split keys, sinks and sharded sequences need. The state of no keys (largest −∞, sum 0, output 0) is the identity
/// of merge. NaN in a state stays.
struct attention_state {
    float largest = -std::numeric_limits<float>::infinity(); ///< the largest score
    float sum = 0.0F;                                        ///< Σ exp(score − largest)
    std::span<float> output{}; ///< [head_dim], Σ exp(score − largest) · value; not owned by the state

    /// log Σ exp(score); −∞ for the state of no keys.
    [[nodiscard]] float log_sum_exp() const {
        return sum == 0.0F ? -std::numeric_limits<float>::infinity() : largest + std::log(sum);
    }

    /// Divides output by sum, which gives the row's attention; 0 for the state of no keys.
    void finish() const {
        for (float& each : output) {
            each = sum == 0.0F ? 0.0F : each / sum;
        }
    }
};

/// The state of a row that attention_forward has finished, from its log-sum-exp and its output, which the state then
/// uses as its memory.
inline attention_state state_of(std::span<float> output, float log_sum_exp) {
    const bool empty = log_sum_exp == -std::numeric_limits<float>::infinity();
    return {log_sum_exp, empty ? 0.0F : 1.0F, output};
}

/// The state of the keys of a and b together, in the memory of a. Associative and commutative up to rounding.
/// Throws invalid_argument if the outputs differ in length.
inline attention_state merge(const attention_state& a, const attention_state& b) {
    if (a.output.size() != b.output.size()) {
        throw invalid_argument("merge", "b.output.size()", std::to_string(b.output.size()),
                               "that of a (" + std::to_string(a.output.size()) + ")");
    }
    const float largest = std::max(a.largest, b.largest);
    const auto weight = [&](const attention_state& state) {
        return state.sum == 0.0F ? 0.0F : std::exp(state.largest - largest);
    };
    const float weight_a = weight(a);
    const float weight_b = weight(b);
    for (std::size_t d = 0; d < a.output.size(); ++d) {
        a.output[d] = a.output[d] * weight_a + b.output[d] * weight_b;
    }
    return {largest, a.sum * weight_a + b.sum * weight_b, a.output};
}

UNMASK_NAMESPACE_END
