// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <span>

#include <unmask/config.hpp>
#include <unmask/cpu/simd.hpp>
#include <unmask/sampler/exact_math.hpp>
#include <unmask/sampler/exact_simd.hpp>
#include <unmask/sampler/row_chunk.hpp>
#include <unmask/tensor/base_2.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// Draws tokens of one chunk: inverts the cumulative distribution, in the order of tokens. The weights are summed in pairs,
// pairs of pairs and so on; a draw goes down from the root.
class chunk_draw {
public:
    // At least one logit is not −∞.
    chunk_draw(const chunk_lines& logits, float highest, const weight_rule& rule) {
        const std::size_t tokens = logits.count() * logits.registers() * lanes;
        leaves_ = std::bit_ceil(tokens);
        const vfloat lowered = broadcast(-highest);
        for (std::size_t i = 0; i < tokens; i += lanes) {
            store(sums_ + leaves_ + i, weights_of(load(logits.at(0, 0) + i) + lowered, rule).weight);
        }
        std::fill(sums_ + leaves_ + tokens, sums_ + 2 * leaves_, 0.0F);
        for (std::size_t level = leaves_ / 2; level > 0; level /= 2) {
            for (std::size_t i = level; i < 2 * level; ++i) {
                sums_[i] = sums_[2 * i] + sums_[2 * i + 1];
            }
        }
    }

    // The token, which has a weight, for a number in (0, 1).
    [[nodiscard]] std::size_t operator()(double uniform) const {
        double left = rounded(uniform * static_cast<double>(sums_[1]));
        std::size_t node = 1;
        while (node < leaves_) {
            const double below = sums_[2 * node];
            const bool up = left >= below && sums_[2 * node + 1] > 0; // rounding may leave more than there is
            left = up ? left - below : left;
            node = 2 * node + (up ? 1 : 0);
        }
        return node - leaves_;
    }

private:
    std::size_t leaves_;
    alignas(64) float sums_[2 * chunk_size]; // of node i: that of 2i and 2i + 1; the leaves are last
};

} // namespace detail
UNMASK_NAMESPACE_END
