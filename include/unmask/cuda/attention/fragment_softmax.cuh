// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/cuda/attention/kernel_call.cuh>
#include <unmask/cuda/attention/score_fragment.cuh>
#include <unmask/cuda/runtime/device.cuh>

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

// The largest of a fragment row's values, and their sum: a row is spread over the four lanes of a quad.
UNMASK_DEVICE float largest_of_quad(float value) {
    value = device::largest(value, device::shuffle_xor(value, 1));
    return device::largest(value, device::shuffle_xor(value, 2));
}
UNMASK_DEVICE float sum_of_quad(float value) {
    value += device::shuffle_xor(value, 1);
    return value + device::shuffle_xor(value, 2);
}

// Factors of what a row has seen before, and of what one more score adds.
struct joined_weights {
    float before;
    float added;
};

// What a warp knows of its rows after some keys. Scores lack a factor, `scale`, as does `largest`; the sums are those
// of a lane's own scores until the end.
template <int RowTiles>
struct fragment_softmax {
    float largest[RowTiles][2];
    float sum[RowTiles][2];

    // Nothing seen yet.
    UNMASK_DEVICE void clear() {
        UNMASK_UNROLL
        for (int i = 0; i < RowTiles; ++i) {
            UNMASK_UNROLL
            for (int h = 0; h < 2; ++h) {
                largest[i][h] = minus_infinity;
                sum[i][h] = 0.0F;
            }
        }
    }

    // Turns scores into probabilities relative to the new largest score, exp(scale · (score − largest)), and rescales
    // the output so far to match.
    template <int ColumnTiles, int OutputTiles>
    UNMASK_DEVICE void absorb(fragment<RowTiles, ColumnTiles>& scores, float scale,
                              fragment<RowTiles, OutputTiles>& output) {
        const float factor = scale * log2_e;
        float rescale[RowTiles][2];
        bool moved = false;
        UNMASK_UNROLL
        for (int i = 0; i < RowTiles; ++i) {
            UNMASK_UNROLL
            for (int h = 0; h < 2; ++h) {
                float top = minus_infinity;
                UNMASK_UNROLL
                for (int j = 0; j < ColumnTiles; ++j) {
                    top = device::largest(top,
                                          device::largest(scores.values[i][j][2 * h], scores.values[i][j][2 * h + 1]));
                }
                top = device::largest(largest[i][h], largest_of_quad(top));
                moved = moved || top != largest[i][h];
                rescale[i][h] = device::exp2((largest[i][h] - shift_of(top)) * factor);
                largest[i][h] = top;
            }
        }
        if (device::ballot(moved) != 0) { // seldom after the first tiles
            UNMASK_UNROLL
            for (int i = 0; i < RowTiles; ++i) {
                sum[i][0] *= rescale[i][0];
                sum[i][1] *= rescale[i][1];
            }
            output.for_each([&](float& value, int i, int /*j*/, int e) { value *= rescale[i][e / 2]; });
        }
        UNMASK_UNROLL
        for (int i = 0; i < RowTiles; ++i) {
            UNMASK_UNROLL
            for (int h = 0; h < 2; ++h) {
                const float shift = shift_of(largest[i][h]);
                UNMASK_UNROLL
                for (int j = 0; j < ColumnTiles; ++j) {
                    UNMASK_UNROLL
                    for (int c = 0; c < 2; ++c) {
                        float& score = scores.values[i][j][2 * h + c];
                        score = device::exp2((score - shift) * factor); // exactly 1 for the largest
                        sum[i][h] += score;
                    }
                }
            }
        }
    }

    // After the last keys: whole sums, in every lane, and scores with their factor.
    UNMASK_DEVICE void finish(float scale) {
        UNMASK_UNROLL
        for (int i = 0; i < RowTiles; ++i) {
            UNMASK_UNROLL
            for (int h = 0; h < 2; ++h) {
                largest[i][h] = product_of(largest[i][h], scale);
                sum[i][h] = sum_of_quad(sum[i][h]);
            }
        }
    }

    // After that, one more score of a row.
    UNMASK_DEVICE joined_weights join(int i, int h, float score) {
        const float top = device::largest(largest[i][h], score);
        const joined_weights weights{exp(largest[i][h] - shift_of(top)), exp(score - shift_of(top))};
        sum[i][h] = sum[i][h] * weights.before + weights.added;
        largest[i][h] = top;
        return weights;
    }
};

} // namespace detail::cuda
UNMASK_NAMESPACE_END
