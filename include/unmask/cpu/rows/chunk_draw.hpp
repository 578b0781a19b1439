// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include <unmask/config.hpp>
#include <unmask/cpu/rows/exact_simd.hpp>
#include <unmask/cpu/rows/row_chunk.hpp>
#include <unmask/cpu/simd.hpp>
#include <unmask/numeric/detail/base_2.hpp>
#include <unmask/numeric/detail/row_sums.hpp>
#include <unmask/numeric/detail/weights.hpp>
#include <unmask/numeric/exact_math.hpp>
#include <unmask/tensor/float_types.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// Draws tokens of a chunk, in the order of the vocabulary. The weights are summed in a binary tree; a draw descends
// from its root.
class chunk_draw {
public:
    // At least one logit must not be −∞.
    chunk_draw(const chunk_lines& logits, float highest, const weight_rule& rule) {
        const std::size_t tokens = logits.tokens();
        leaves_ = std::bit_ceil(tokens);
        const lane_distances distance_of(highest, rule);
        for (std::size_t i = 0; i < tokens; i += lanes) {
            store(sums_ + leaves_ + i, weights_of(distance_of(load(logits.at(0, 0) + i)), rule).weight);
        }
        for (std::size_t i = tokens; i < leaves_; i += lanes) {
            store(sums_ + leaves_ + i, vfloat{});
        }
        for (std::size_t level = leaves_ / 2; level >= lanes; level /= 2) {
            for (std::size_t i = level; i < 2 * level; i += lanes) {
                store(sums_ + i, sums_of_pairs(load(sums_ + 2 * i), load(sums_ + 2 * i + lanes)));
            }
        }
        vfloat last = load(sums_ + lanes);
        for (std::size_t level = lanes / 2; level > 0; level /= 2) {
            last = sums_of_pairs(last, last);
            std::memcpy(sums_ + level, &last, level * sizeof(float));
        }
    }

    // The token, whose weight is not 0, for a number in (0, 1).
    [[nodiscard]] std::size_t operator()(double uniform) const { return drawn_leaf(sums_, leaves_, uniform); }

private:
    std::size_t leaves_;
    alignas(64) float sums_[2 * chunk_size]; // node i is the sum of nodes 2i and 2i + 1; the leaves are last
};

} // namespace detail
UNMASK_NAMESPACE_END
