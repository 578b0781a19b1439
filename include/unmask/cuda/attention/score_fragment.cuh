// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstdint>

#include <unmask/config.hpp>
#include <unmask/cuda/attention/kernel_call.cuh>
#include <unmask/cuda/attention/seen_keys.cuh>
#include <unmask/cuda/attention/shared_tile.cuh>
#include <unmask/cuda/runtime/device.cuh>

// A warp's part of a tile of scores, in the registers of its lanes as the tensor cores leave it.

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

// RowTiles · 16 rows × ColumnTiles · 8 columns. values[i][j][2 h + c] is in row 16 i + 8 h + lane / 4 and column
// 8 j + 2 (lane % 4) + c.
template <int RowTiles, int ColumnTiles>
struct fragment {
    float values[RowTiles][ColumnTiles][4];

    UNMASK_DEVICE void clear() {
        UNMASK_UNROLL
        for (int i = 0; i < RowTiles; ++i) {
            UNMASK_UNROLL
            for (int j = 0; j < ColumnTiles; ++j) {
                UNMASK_UNROLL
                for (int e = 0; e < 4; ++e) {
                    values[i][j][e] = 0.0F;
                }
            }
        }
    }

    // Calls visit(value, i, j, e) for all.
    template <class Visit>
    UNMASK_DEVICE void for_each(const Visit& visit) {
        UNMASK_UNROLL
        for (int i = 0; i < RowTiles; ++i) {
            UNMASK_UNROLL
            for (int j = 0; j < ColumnTiles; ++j) {
                UNMASK_UNROLL
                for (int e = 0; e < 4; ++e) {
                    visit(values[i][j][e], i, j, e);
                }
            }
        }
    }
};

// The lane, and the first row of its warp: opaque, or what follows from them stays in registers from tile to tile.
UNMASK_DEVICE std::uint32_t fragment_lane() {
    return device::opaque(static_cast<std::uint32_t>(device::lane()));
}
template <int RowTiles>
UNMASK_DEVICE int fragment_warp_row() {
    return static_cast<int>(device::opaque(static_cast<std::uint32_t>(device::warp())) * (RowTiles * 16));
}
// The row of a fragment that this lane has in tile i, half h, and its first column in tile j.
UNMASK_DEVICE int fragment_row(int i, int h) {
    return i * 16 + h * 8 + static_cast<int>(fragment_lane() / 4);
}
UNMASK_DEVICE int fragment_column(int j) {
    return j * 8 + static_cast<int>(fragment_lane() % 4 * 2);
}

// Where in a tile the lanes of a warp find the first fragment of a left factor, from first_row on; of a right factor
// whose columns are the tile's rows; of one whose rows they are.
template <class Tile>
UNMASK_DEVICE std::uint32_t left_place(int first_row) {
    const std::uint32_t lane = fragment_lane();
    return Tile::place(static_cast<std::uint32_t>(first_row) + lane % 16, lane / 16);
}
template <class Tile>
UNMASK_DEVICE std::uint32_t transposed_place() {
    const std::uint32_t lane = fragment_lane();
    return Tile::place(lane / 16 * 8 + lane % 8, lane / 8 % 2);
}
template <class Tile>
UNMASK_DEVICE std::uint32_t right_place() {
    const std::uint32_t lane = fragment_lane();
    return Tile::place(lane % 16, lane / 16);
}

// How many steps of 16 columns multiply_scores takes a turn, unless told otherwise: a page. Not all are unrolled, and
// of large fragments not even a page: in the forward kernel that would load so far ahead that registers spill.
template <int RowTiles, class Tile>
inline constexpr int usual_steps = RowTiles > 1 && Tile::chunks > 8 ? 2 : Tile::page / 16;

// scores = queries · keysᵀ, of the rows whose fragment is at query_place.
template <class T, int Steps, int RowTiles, int ColumnTiles, int QueryRows, int KeyRows, int HeadDim>
UNMASK_DEVICE void multiply_scores(const shared_tile<QueryRows, HeadDim>& queries, std::uint32_t query_place,
                                   const shared_tile<KeyRows, HeadDim>& keys, std::uint32_t key_place,
                                   fragment<RowTiles, ColumnTiles>& scores) {
    static_assert(ColumnTiles % 2 == 0 && KeyRows == ColumnTiles * 8);
    scores.clear();
    UNMASK_NO_UNROLL
    for (int turn = 0; turn < HeadDim / 16 / Steps; ++turn) {
        const std::uint32_t query_turn = queries.moved(query_place, 0, turn * Steps * 2);
        const std::uint32_t key_turn = keys.moved(key_place, 0, turn * Steps * 2);
        UNMASK_UNROLL
        for (int step = 0; step < Steps; ++step) {
            std::uint32_t a[RowTiles][4];
            UNMASK_UNROLL
            for (int i = 0; i < RowTiles; ++i) {
                device::load_matrices(a[i], queries.data + queries.moved(query_turn, i * 16, step * 2));
            }
            UNMASK_UNROLL
            for (int j = 0; j < ColumnTiles; j += 2) {
                std::uint32_t b[4];
                device::load_matrices(b, keys.data + keys.moved(key_turn, j * 8, step * 2));
                UNMASK_UNROLL
                for (int i = 0; i < RowTiles; ++i) {
                    device::multiply_add<T>(scores.values[i][j], a[i], b[0], b[1]);
                    device::multiply_add<T>(scores.values[i][j + 1], a[i], b[2], b[3]);
                }
            }
        }
    }
}

// The same, of the rows from first_row on.
template <class T, int RowTiles, int ColumnTiles, int QueryRows, int KeyRows, int HeadDim>
UNMASK_DEVICE void multiply_scores(const shared_tile<QueryRows, HeadDim>& queries, int first_row,
                                   const shared_tile<KeyRows, HeadDim>& keys, fragment<RowTiles, ColumnTiles>& scores) {
    using tile = shared_tile<KeyRows, HeadDim>;
    const std::uint32_t query_place = left_place<shared_tile<QueryRows, HeadDim>>(first_row);
    multiply_scores<T, usual_steps<RowTiles, tile>>(queries, query_place, keys, transposed_place<tile>(), scores);
}

// output += probabilities · values. A score's registers are, rounded and in pairs, those of the left factor.
template <class T, int RowTiles, int KeyTiles, int ColumnTiles, int KeyRows, int HeadDim>
UNMASK_DEVICE void multiply_values(const fragment<RowTiles, KeyTiles>& probabilities,
                                   const shared_tile<KeyRows, HeadDim>& values, std::uint32_t value_place,
                                   fragment<RowTiles, ColumnTiles>& output) {
    static_assert(KeyTiles % 2 == 0 && ColumnTiles % 2 == 0 && ColumnTiles * 8 == HeadDim);
    UNMASK_UNROLL
    for (int step = 0; step < KeyTiles / 2; ++step) {
        std::uint32_t a[RowTiles][4];
        UNMASK_UNROLL
        for (int i = 0; i < RowTiles; ++i) {
            UNMASK_UNROLL
            for (int m = 0; m < 4; ++m) {
                const float (&pair)[4] = probabilities.values[i][step * 2 + m / 2];
                a[i][m] = device::pack<T>(pair[m % 2 * 2], pair[m % 2 * 2 + 1]);
            }
        }
        UNMASK_UNROLL
        for (int j = 0; j < ColumnTiles; j += 2) {
            std::uint32_t b[4];
            device::load_matrices_transposed(b, values.data + values.moved(value_place, step * 16, j));
            UNMASK_UNROLL
            for (int i = 0; i < RowTiles; ++i) {
                device::multiply_add<T>(output.values[i][j], a[i], b[0], b[1]);
                device::multiply_add<T>(output.values[i][j + 1], a[i], b[2], b[3]);
            }
        }
    }
}

template <class T, int RowTiles, int KeyTiles, int ColumnTiles, int KeyRows, int HeadDim>
UNMASK_DEVICE void multiply_values(const fragment<RowTiles, KeyTiles>& probabilities,
                                   const shared_tile<KeyRows, HeadDim>& values,
                                   fragment<RowTiles, ColumnTiles>& output) {
    multiply_values<T>(probabilities, values, right_place<shared_tile<KeyRows, HeadDim>>(), output);
}

// −∞, or another value, where a row does not see the key. The warp's first row is first_row.
template <int RowTiles, int ColumnTiles, int Rows, int Keys>
UNMASK_DEVICE void hide_scores(const seen_keys<Rows, Keys>& seen, int first_row,
                               fragment<RowTiles, ColumnTiles>& scores, float hidden = minus_infinity) {
    static_assert(ColumnTiles * 8 == Keys);
    UNMASK_UNROLL
    for (int i = 0; i < RowTiles; ++i) {
        UNMASK_UNROLL
        for (int h = 0; h < 2; ++h) {
            UNMASK_UNROLL
            for (int word = 0; word < Keys / 32; ++word) {
                const std::uint32_t bits = seen.word(first_row + fragment_row(i, h), word) >> fragment_column(0);
                UNMASK_UNROLL
                for (int j = 0; j < 4; ++j) {
                    UNMASK_UNROLL
                    for (int c = 0; c < 2; ++c) {
                        float& score = scores.values[i][word * 4 + j][2 * h + c];
                        score = (bits & (1U << (j * 8 + c))) != 0 ? score : hidden;
                    }
                }
            }
        }
    }
}

// Makes of sums of products what, times call.softmax_scale, is a score.
template <class T, int RowTiles, int ColumnTiles>
UNMASK_DEVICE void transform_scores(const kernel_call<T>& call, fragment<RowTiles, ColumnTiles>& scores) {
    if (call.softmax_scale != call.scale || call.cap > 0.0F) {
        scores.for_each([&](float& score, int, int, int) { score = call.score(score); });
    }
}

} // namespace detail::cuda
UNMASK_NAMESPACE_END
