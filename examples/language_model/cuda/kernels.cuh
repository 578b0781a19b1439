// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cuda_runtime.h>

#include <unmask/config.hpp>

#include "device_memory.cuh"
#include "matrix.hpp"

// What the model's kernels share. They are plain: each reads and writes memory about once.

namespace language_model {

using namespace examples;

inline constexpr int warp_size = 32;
inline constexpr int block_threads = 256;
inline constexpr int block_warps = block_threads / warp_size;

inline index_t blocks_for(index_t work, index_t of_block) {
    return (work + of_block - 1) / of_block;
}

/// Enqueues a kernel; nothing if there are no blocks.
template <class... Parameters, class... Arguments>
void enqueue(void (*kernel)(Parameters...), index_t blocks, cudaStream_t stream, const Arguments&... arguments) {
    if (blocks > 0) {
        kernel<<<static_cast<unsigned>(blocks), block_threads, 0, stream>>>(arguments...);
        expect_success(cudaGetLastError(), "a kernel's launch");
    }
}

/// The sum of all lanes' values, the same for all.
template <class Number>
__device__ Number sum_of_warp(Number value) {
    for (int mask = warp_size / 2; mask > 0; mask /= 2) {
        value += __shfl_xor_sync(0xffffffffU, value, mask);
    }
    return value;
}

/// The number of the calling thread, and of its warp, in the grid.
__device__ inline index_t thread_of_grid() {
    return static_cast<index_t>(blockIdx.x) * block_threads + threadIdx.x;
}
__device__ inline index_t warp_of_grid() {
    return static_cast<index_t>(blockIdx.x) * block_warps + threadIdx.x / warp_size;
}
__device__ inline int lane() {
    return static_cast<int>(threadIdx.x % warp_size);
}

/// Row i of [groups, rows, columns], counted through all groups; it need not be there.
template <class T>
struct row_source {
    T* data;
    index_t group_stride;
    index_t row_stride;
    index_t rows;

    __device__ T* row(index_t i) const { return data + i / rows * group_stride + i % rows * row_stride; }
};
template <class T>
row_source<T> rows_in(const unmask::tensor_view<T, 3>& groups) {
    return {groups.data, groups.strides[0], groups.strides[1], groups.extents[1]};
}

} // namespace language_model
