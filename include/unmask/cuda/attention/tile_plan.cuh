// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>

// How a block of the tensor-core kernels is cut: 4 warps, each with 16 or 32 query rows, go through tiles of keys. A
// warp with 32 rows uses each fragment of keys and values twice; what limits it are registers. A thread holds, in
// floats, row_tiles · head_dim / 2 of output, row_tiles · keys / 2 of scores, and some 60 of everything else.

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

template <int HeadDim, int RowTiles>
struct tile_plan {
    static constexpr int head_dim = HeadDim;   // columns past the tensors' are zeros
    static constexpr int row_tiles = RowTiles; // of 16 rows, for each warp
    // Of more columns, 64 keys and their values take so much shared memory that a multiprocessor with 164 KB holds one
    // block less; with 100 KB, one alone.
    static constexpr int keys = head_dim <= 128 ? 64 : 32;
    static constexpr int warps = 4;
    static constexpr int threads = warps * 32;
    static constexpr int rows = warps * row_tiles * 16;
    static constexpr int score_tiles = keys / 8;      // of 16 × 8 scores, a row tile
    static constexpr int output_tiles = head_dim / 8; // of 16 × 8 outputs, a row tile
    // Those for which the compiler is to leave registers, on a multiprocessor together: the others compute while one
    // waits. Where shared memory is small there are fewer (tests/cuda/registers.csv).
    static constexpr int blocks = row_tiles * (head_dim + keys) / 2 <= 128 ? 3 : 2;
};

// Many rows.
template <int HeadDim>
using wide_plan = tile_plan<HeadDim, HeadDim <= 128 ? 2 : 1>;

// 64 rows or fewer, as when decoding. (From 192 on, both are one.)
template <int HeadDim>
using narrow_plan = tile_plan<HeadDim, 1>;

} // namespace detail::cuda
UNMASK_NAMESPACE_END
