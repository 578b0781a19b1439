// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <type_traits>

#include <unmask/config.hpp>
#include <unmask/cuda/attention/backward_call.cuh>
#include <unmask/cuda/attention/block_order.cuh>
#include <unmask/mask/mask_policy.hpp>

// How a block of the tensor-core kernels of the backward pass is cut. A block owns rows whose gradients it sums up
// (keys in one kernel, queries in the other), 16 or 32 for each of 4 warps, and visits tiles of rows of the other kind,
// 32 at a time. What limits that are registers: a thread holds, in floats, row_tiles · head_dim / 2 for each gradient,
// row_tiles · 32 of scores and of their gradients, and some 50 of everything else.

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

// Rows of all tensors, the gradients' too, begin at multiples of 16 bytes and are that long (copies_16_bytes).
template <class T, mask_policy Mask, class Gradient = T>
struct backward_parameters {
    backward_call<T, Gradient> of;
    block_grid grid; // of tiles of `owned` rows; its parts are those of the plan
    Mask mask;
};

template <int HeadDim, int RowTiles, int Gradients, int Parts, int Buffers, int Visited = 32>
struct backward_plan {
    static constexpr int head_dim = HeadDim;   // columns past the tensors' are zeros
    static constexpr int row_tiles = RowTiles; // of 16 rows, for each warp
    static constexpr int parts = Parts;        // blocks that share the work on the rows of one
    static constexpr int buffers = Buffers;    // of each tensor that is visited
    static constexpr int warps = 4;
    static constexpr int threads = warps * 32;
    static constexpr int owned = warps * row_tiles * 16;
    static constexpr int visited = Visited;
    static constexpr int score_tiles = visited / 8;
    static constexpr int gradient_tiles = head_dim / 8;
    static constexpr bool sums_queries = false;
    // Those for which the compiler is to leave registers, on a multiprocessor together. Of 256 columns, two need more
    // shared memory than an A100 has.
    static constexpr int blocks = head_dim > 192 ? 1 : row_tiles*(Gradients* head_dim / 2 + visited) <= 96 ? 3 : 2;
};

// Two gradients need both tensors that are visited until the end of a turn, so there are two buffers of each. Of more
// than 128 columns there are no registers for sums of two: one block has those of values, another those of keys.
template <int HeadDim>
using backward_keys_plan = backward_plan<HeadDim, HeadDim <= 64 ? 2 : 1, HeadDim <= 128 ? 2 : 1, HeadDim <= 128 ? 1 : 2,
                                         HeadDim <= 128 ? 2 : 1>;
template <int HeadDim>
using backward_queries_plan = backward_plan<HeadDim, HeadDim <= 128 ? 2 : 1, 1, 1, 1>;

// For multiprocessors with 100 KB of shared memory (8.6, 8.9, 12.0), if they hold two blocks of these and not of those
// above: a quarter more instructions, none of them for tensor cores, and other warps that compute while one waits. Of
// more than 128 columns, they hold one in any case.
template <int HeadDim>
using small_backward_keys_plan =
    std::conditional_t<HeadDim == 128, backward_plan<128, 1, 2, 1, 2, 16>, backward_keys_plan<HeadDim>>;
template <int HeadDim>
using small_backward_queries_plan =
    std::conditional_t<HeadDim == 96 || HeadDim == 128, backward_plan<HeadDim, 1, 1, 1, 1>,
                       backward_queries_plan<HeadDim>>;

// Blocks of keys that add to the gradients of queries too.
template <class Plan>
struct with_query_sums : Plan {
    static constexpr bool sums_queries = true;
};

} // namespace detail::cuda
UNMASK_NAMESPACE_END
