// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstdint>

#include <unmask/config.hpp>
#include <unmask/cuda/attention/seen_keys.cuh>
#include <unmask/cuda/runtime/device.cuh>

// Products without tensor cores: 256 threads as 16 × 16, each with 4 × 4 of the 64 × 64 scores of a tile. Thread t has
// rows 4 (t / 16) … and columns 4 (t % 16) …; a row belongs to 16 neighbouring lanes.

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

inline constexpr int plain_threads = 256;
inline constexpr int plain_rows = 64;
inline constexpr int plain_keys = 64;
inline constexpr int plain_depth = 32;    // of head_dim that is in shared memory at a time
inline constexpr int plain_columns = 128; // of output, a block
inline constexpr int plain_stride =
    68; // of a line of 64 floats: aligned to 16 bytes, in other banks than the line before

UNMASK_DEVICE int plain_row(int i) {
    return device::thread() / 16 * 4 + i;
}
UNMASK_DEVICE int plain_column(int j) {
    return device::thread() % 16 * 4 + j;
}

// join over the 16 lanes that have a row.
template <class Join>
UNMASK_DEVICE float over_plain_row(float value, const Join& join) {
    UNMASK_UNROLL
    for (int distance = 1; distance < 16; distance *= 2) {
        value = join(value, device::shuffle_xor(value, distance));
    }
    return value;
}

// Lines of 64 floats: [plain_depth] of queries and as many of keys, transposed; or [plain_keys] of values.
struct plain_tile {
    static constexpr int floats = 2 * plain_depth * plain_stride;
    static constexpr int bytes = floats * static_cast<int>(sizeof(float));
    static_assert(plain_keys <= 2 * plain_depth);

    float* data;

    // Four neighbours of a line.
    UNMASK_DEVICE void load(int line, int first, float (&four)[4]) const {
        UNMASK_UNROLL
        for (int i = 0; i < 4; ++i) {
            four[i] = data[line * plain_stride + first + i];
        }
    }

    // Columns [first, first + plain_depth) of 64 rows, as lines from `line` on; rows from `rows` on and columns from
    // head_dim on are 0.
    template <class RowOf>
    UNMASK_DEVICE void copy_transposed(int line, int first, int rows, int head_dim, const RowOf& row_of) const {
        for (int i = device::thread(); i < 64 * plain_depth; i += plain_threads) {
            const int row = i / plain_depth;
            const int column = i % plain_depth;
            const bool exists = row < rows && first + column < head_dim;
            data[(line + column) * plain_stride + row] =
                exists ? static_cast<float>(row_of(row)[first + column]) : 0.0F;
        }
    }

    // Columns [first, first + 64) of a tile of values, a line a key.
    template <class RowOf>
    UNMASK_DEVICE void copy(int first, int rows, int head_dim, const RowOf& row_of) const {
        for (int i = device::thread(); i < plain_keys * 64; i += plain_threads) {
            const int key = i / 64;
            const int column = first + i % 64;
            const bool exists = key < rows && column < head_dim;
            data[key * plain_stride + i % 64] = exists ? static_cast<float>(row_of(key)[column]) : 0.0F;
        }
    }
};

// Probabilities on their way from the threads that have their columns to those that have their rows: a line a key.
struct plain_probabilities {
    static constexpr int floats = plain_keys * plain_stride;
    static constexpr int bytes = floats * static_cast<int>(sizeof(float));

    float* data;

    UNMASK_DEVICE void store(const float (&values)[4][4]) const {
        UNMASK_UNROLL
        for (int i = 0; i < 4; ++i) {
            UNMASK_UNROLL
            for (int j = 0; j < 4; ++j) {
                data[plain_column(j) * plain_stride + plain_row(i)] = values[i][j];
            }
        }
    }
    // The same, a line a row.
    UNMASK_DEVICE void store_rows(const float (&values)[4][4]) const {
        UNMASK_UNROLL
        for (int i = 0; i < 4; ++i) {
            UNMASK_UNROLL
            for (int j = 0; j < 4; ++j) {
                data[plain_row(i) * plain_stride + plain_column(j)] = values[i][j];
            }
        }
    }
    // Those of a thread's rows.
    UNMASK_DEVICE void load(int key, float (&values)[4]) const {
        UNMASK_UNROLL
        for (int i = 0; i < 4; ++i) {
            values[i] = data[key * plain_stride + plain_row(i)];
        }
    }
};

// queries · keysᵀ of the rows at query_of(r), r < queries, and key_of(r), r < keys. By all threads; writes over `tile`.
template <class QueryOf, class KeyOf>
UNMASK_DEVICE void multiply_plain_scores(int queries, const QueryOf& query_of, int keys, const KeyOf& key_of,
                                         int head_dim, const plain_tile& tile, float (&scores)[4][4]) {
    UNMASK_UNROLL
    for (int i = 0; i < 4; ++i) {
        UNMASK_UNROLL
        for (int j = 0; j < 4; ++j) {
            scores[i][j] = 0.0F;
        }
    }
    for (int first = 0; first < head_dim; first += plain_depth) {
        device::barrier(); // nobody needs the tile any more
        tile.copy_transposed(0, first, queries, head_dim, query_of);
        tile.copy_transposed(plain_depth, first, keys, head_dim, key_of);
        device::barrier();
        for (int d = 0; d < plain_depth; ++d) {
            float query[4];
            float key[4];
            tile.load(d, plain_row(0), query);
            tile.load(plain_depth + d, plain_column(0), key);
            UNMASK_UNROLL
            for (int i = 0; i < 4; ++i) {
                UNMASK_UNROLL
                for (int j = 0; j < 4; ++j) {
                    scores[i][j] += query[i] * key[j];
                }
            }
        }
    }
}

// Bit j: the row sees the key of plain_column(j).
UNMASK_DEVICE std::uint32_t plain_seen(const seen_keys<plain_rows, plain_keys>& seen, int row) {
    return seen.word(row, plain_column(0) / 32) >> plain_column(0) % 32;
}

} // namespace detail::cuda
UNMASK_NAMESPACE_END
