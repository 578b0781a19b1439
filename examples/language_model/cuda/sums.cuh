// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include "kernels.cuh"

namespace language_model {

/// The sum of the values of a block's threads, in one order. All threads call it; the first gets the result.
__device__ inline double sum_of_block(double value) {
    __shared__ double of_warps[block_warps];
    const double of_warp = sum_of_warp(value);
    if (lane() == 0) {
        of_warps[threadIdx.x / warp_size] = of_warp;
    }
    __syncthreads();
    double sum = 0.0;
    for (int warp = 0; warp < block_warps; ++warp) {
        sum += of_warps[warp];
    }
    return sum;
}

/// *total += Σ values, by one block, in one order.
template <class Number>
__global__ void add_all_kernel(const Number* values, index_t size, double* total) {
    double sum = 0.0;
    for (index_t i = threadIdx.x; i < size; i += block_threads) {
        sum += static_cast<double>(values[i]);
    }
    sum = sum_of_block(sum);
    if (threadIdx.x == 0) {
        *total += sum;
    }
}

} // namespace language_model
