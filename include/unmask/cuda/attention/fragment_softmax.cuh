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

// What a warp knows of its rows after some keys, in base 2. The sums are those of a lane's own scores until the end.
template <int RowTiles>
struct fragment_softmax {
    float largest[RowTiles][2];
    float sum[RowTiles][2];

    // Turns scores into probabilities relative to the new largest score, 2^(factor · score − largest), and rescales the
    // output so far to match.
    template <int ColumnTiles, int OutputTiles>
    UNMASK_DEVICE void absorb(fragment<RowTiles, ColumnTiles>& scores, float factor,
                              fragment<RowTiles, OutputTiles>& output) {
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
                top = device::largest(largest[i][h], largest_of_quad(top) * factor);
                moved = moved || top != largest[i][h];
                rescale[i][h] = device::exp2(largest[i][h] - shift_of(top));
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
                        score = device::exp2(score * factor - shift);
                        sum[i][h] += score;
                    }
                }
            }
        }
    }

    // After the last keys: whole sums, in every lane.
    UNMASK_DEVICE void finish() {
        UNMASK_UNROLL
        for (int i = 0; i < RowTiles; ++i) {
            UNMASK_UNROLL
            for (int h = 0; h < 2; ++h) {
                sum[i][h] = sum_of_quad(sum[i][h]);
            }
        }
    }
};

} // namespace detail::cuda
UNMASK_NAMESPACE_END
