// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <vector>

#include "blas.hpp"
#include "shape.hpp"

namespace language_model {

using namespace examples;

/// Rows in a matrix product. Every product of inference has this many, and a position always stands in the same one:
/// what BLAS makes of a row may depend on both, to the last bit, so a position's result would otherwise depend on which
/// others are computed beside it. What a tile lacks is filled with rows that nobody reads.
inline constexpr index_t tile_rows = 32;

/// Columns in a matrix product: so few that there is work for many threads in one tile.
inline constexpr index_t tile_columns = 64;

/// Positions beside each other that a pass computes, and where.
struct row_range {
    index_t first_row; ///< of the matrices below
    index_t count;
    index_t key; ///< of the first one, among all keys
};

/// The memory of forward passes without a backward pass. It grows to the longest one and is then used again.
class encoder_memory {
public:
    explicit encoder_memory(const model_shape& shape) : shape_(shape) {}

    /// Starts a pass.
    void clear() {
        ranges.clear();
        angles.clear();
        tiles = 0;
    }

    /// Adds positions, the first of which belongs in row `slot` of a tile, with its angles in row `rotary` of the
    /// table.
    row_range add(index_t count, index_t slot, index_t rotary, index_t key) {
        const row_range added{tiles * tile_rows + slot, count, key};
        const index_t first = tiles * tile_rows;
        ranges.push_back(added);
        tiles += (slot + count + tile_rows - 1) / tile_rows;
        const index_t rows = tiles * tile_rows;
        stream.grow(rows, shape_.width);
        normed.grow(rows, shape_.width);
        query_key_value.grow(rows, 3 * shape_.width);
        attended.grow(rows, shape_.width);
        gate_up.grow(rows, 2 * shape_.ffn);
        activated.grow(rows, shape_.ffn);
        angles.resize(static_cast<std::size_t>(rows), 0);
        std::fill_n(stream.rows(first, rows - first).data, (rows - first) * shape_.width,
                    0.0F); // for rows of no position
        for (index_t i = 0; i < count; ++i) {
            angles[static_cast<std::size_t>(added.first_row + i)] = rotary + i;
        }
        return added;
    }

    /// A matrix of as many rows as were needed so far.
    class growing_matrix {
    public:
        void grow(index_t rows, index_t columns) {
            columns_ = columns;
            memory_.resize(std::max(memory_.size(), static_cast<std::size_t>(rows * columns)));
        }
        [[nodiscard]] matrix rows(index_t begin, index_t count) {
            return unmask::view(memory_.data() + begin * columns_, count, columns_);
        }
        [[nodiscard]] matrix tile(index_t i) { return rows(i * tile_rows, tile_rows); }

    private:
        index_t columns_ = 0;
        std::vector<float> memory_;
    };

    std::vector<row_range> ranges;
    index_t tiles = 0;
    std::vector<index_t> angles; ///< of a row: its row of the rotary table
    growing_matrix stream;
    growing_matrix normed;
    growing_matrix query_key_value;
    growing_matrix attended;
    growing_matrix gate_up;
    growing_matrix activated;
    growing_matrix logits; ///< of one tile

private:
    model_shape shape_;
};

} // namespace language_model
