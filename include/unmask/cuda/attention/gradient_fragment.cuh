// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <concepts>
#include <cstdint>

#include <unmask/config.hpp>
#include <unmask/cuda/attention/backward_call.cuh>
#include <unmask/cuda/attention/kernel_call.cuh>
#include <unmask/cuda/attention/score_fragment.cuh>
#include <unmask/cuda/attention/seen_keys.cuh>
#include <unmask/cuda/attention/shared_tile.cuh>
#include <unmask/cuda/runtime/device.cuh>

// What the two tensor-core kernels of the backward pass do with a warp's part of a tile of scores.

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

// Makes scores of sums of products: those of the forward kernel, to the bit.
template <class T, int RowTiles, int ColumnTiles>
UNMASK_DEVICE void finish_scores(const kernel_call<T>& call, fragment<RowTiles, ColumnTiles>& products) {
    if (call.cap > 0.0F) {
        products.for_each([&](float& value, int, int, int) { value = call.score(value); });
    } else {
        products.for_each([&](float& value, int, int, int) { value = product_of(value, call.scale); });
    }
}

// Makes P of scores, in place. log_sum_exp(i, j, e) is what shift_of makes of that of an element's query. It need not
// make sense where the score is hidden.
template <int RowTiles, int ColumnTiles, class LogSumExp>
UNMASK_DEVICE void weigh(fragment<RowTiles, ColumnTiles>& scores, const LogSumExp& log_sum_exp) {
    scores.for_each([&](float& score, int i, int j, int e) { score = exp(score - log_sum_exp(i, j, e)); });
}

// Makes P of scores and dS of dP, in place.
template <class T, int RowTiles, int ColumnTiles, class LogSumExp, class Delta>
UNMASK_DEVICE void differentiate(const kernel_call<T>& call, fragment<RowTiles, ColumnTiles>& scores,
                                 fragment<RowTiles, ColumnTiles>& d_probabilities, const LogSumExp& log_sum_exp,
                                 const Delta& delta) {
    const auto each = [&](const auto& derivative) {
        scores.for_each([&](float& score, int i, int j, int e) {
            float& d_probability = d_probabilities.values[i][j][e];
            const float probability = exp(score - log_sum_exp(i, j, e));
            d_probability = derivative(probability * (d_probability - delta(i, j, e)), score);
            score = probability;
        });
    };
    if (call.cap > 0.0F) {
        each([&](float d_score, float score) { return d_score * cap_derivative(call, score); });
    } else {
        each([](float d_score, float /*score*/) { return d_score; });
    }
}

// 0 where a query, of a column, does not see the key, of a row. The warp's first row is first_row.
template <int RowTiles, int ColumnTiles, int Queries, int Keys>
UNMASK_DEVICE void hide_transposed(const seen_keys<Queries, Keys>& seen, int first_row,
                                   fragment<RowTiles, ColumnTiles>& values) {
    static_assert(ColumnTiles * 8 == Queries && 32 % (RowTiles * 16) == 0); // a warp's keys are in one word
    UNMASK_UNROLL
    for (int j = 0; j < ColumnTiles; ++j) {
        UNMASK_UNROLL
        for (int c = 0; c < 2; ++c) {
            const std::uint32_t bits =
                seen.word(fragment_column(j) + c, first_row / 32) >> (first_row % 32 + fragment_row(0, 0));
            UNMASK_UNROLL
            for (int i = 0; i < RowTiles; ++i) {
                UNMASK_UNROLL
                for (int h = 0; h < 2; ++h) {
                    float& value = values.values[i][j][2 * h + c];
                    value = (bits & (1U << (i * 16 + h * 8))) != 0 ? value : 0.0F;
                }
            }
        }
    }
}

// Writes a warp's sums, times a factor, to global memory: row r to row_of(r), if exists(r). It is 0 unless counts(r).
// Those of 16 bits go by way of a tile in shared memory, whose rows nobody but the warp may use.
template <class T, int RowTiles, int ColumnTiles, int Rows, int HeadDim, class Counts, class Exists, class RowOf>
UNMASK_DEVICE void write_gradient(const fragment<RowTiles, ColumnTiles>& sums, float factor,
                                  const shared_tile<Rows, HeadDim>& by_way_of, int columns, const Counts& counts,
                                  const Exists& exists, const RowOf& row_of) {
    static_assert(ColumnTiles * 8 == HeadDim);
    const int first_row = fragment_warp_row<RowTiles>();
    if constexpr (!std::same_as<T, float>) {
        device::warp_barrier(); // no lane still reads the tile
    }
    UNMASK_UNROLL
    for (int i = 0; i < RowTiles; ++i) {
        UNMASK_UNROLL
        for (int h = 0; h < 2; ++h) {
            const int row = first_row + fragment_row(i, h);
            const bool counted = counts(row);
            UNMASK_UNROLL
            for (int j = 0; j < ColumnTiles; ++j) {
                const float (&pairs)[4] = sums.values[i][j];
                if constexpr (std::same_as<T, float>) {
                    if (exists(row) && fragment_column(j) < columns) {
                        float* const to = row_of(row) + fragment_column(j);
                        to[0] = counted ? pairs[2 * h] * factor : 0.0F;
                        to[1] = counted ? pairs[2 * h + 1] * factor : 0.0F;
                    }
                } else {
                    auto* pair = reinterpret_cast<std::uint32_t*>(by_way_of.chunk(row, j));
                    pair[device::lane() % 4] =
                        counted ? device::pack<T>(pairs[2 * h] * factor, pairs[2 * h + 1] * factor) : 0U;
                }
            }
        }
    }
    if constexpr (!std::same_as<T, float>) {
        device::warp_barrier();
        constexpr int chunks = HeadDim / 8;
        for (int n = device::lane(); n < RowTiles * 16 * chunks; n += device::warp_size) {
            const int row = first_row + n / chunks;
            if (exists(row) && n % chunks * 8 < columns) {
                device::copy_16_bytes(row_of(row) + n % chunks * 8, by_way_of.chunk(row, n % chunks));
            }
        }
    }
}

} // namespace detail::cuda
UNMASK_NAMESPACE_END
