// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// The loss: see loss.hpp for what it is.

#include "../rules.hpp"
#include "cuda_layers.cuh"
#include "sums.cuh"

namespace language_model {

namespace {

// A warp for each row. The gradient may be written where the logits are: every lane reads and writes numbers of its
// own, and the target's logit is read before. d_logits may be null.
template <class T>
__global__ void cross_entropy_kernel(const float* logits, const token_t* targets, const float* weights, T* d_logits,
                                     double* losses, index_t vocabulary, index_t rows) {
    const index_t row = warp_of_grid();
    if (row >= rows) {
        return;
    }
    const float* const x = logits + row * vocabulary;
    const float weight = weights[row];
    const token_t target = targets[row];
    const float of_target = x[target];
    float largest = x[0];
    for (index_t i = lane(); i < vocabulary; i += warp_size) {
        largest = fmaxf(largest, x[i]);
    }
    for (int mask = warp_size / 2; mask > 0; mask /= 2) {
        largest = fmaxf(largest, __shfl_xor_sync(0xffffffffU, largest, mask));
    }
    float sum = 0.0F;
    for (index_t i = lane(); i < vocabulary; i += warp_size) {
        sum += fast_exp(x[i] - largest);
    }
    sum = sum_of_warp(sum);
    const float scale = weight / sum;
    for (index_t i = lane(); d_logits != nullptr && i < vocabulary; i += warp_size) {
        const float gradient = fast_exp(x[i] - largest) * scale - (i == target ? weight : 0.0F);
        d_logits[row * vocabulary + i] = T(weight == 0.0F ? 0.0F : gradient);
    }
    if (lane() == 0) {
        const double cost = static_cast<double>(logf(sum)) - static_cast<double>(of_target - largest);
        losses[row] = weight == 0.0F ? 0.0 : static_cast<double>(weight) * cost;
    }
}

} // namespace

template <class T>
void cuda_layers::weighted_cross_entropy(const matrix& logits, const token_t* targets, const float* weights,
                                         const matrix_of<T>& d_logits, double* total) const {
    const index_t rows = logits.extents[0];
    const scratch_array<double> losses(exec_, rows);
    enqueue(&cross_entropy_kernel<T>, blocks_for(rows, block_warps), exec_.stream, logits.data, targets, weights,
            d_logits.data, losses.data(), logits.extents[1], rows);
    enqueue(&add_all_kernel<double>, 1, exec_.stream, losses.data(), rows, total);
}

template void cuda_layers::weighted_cross_entropy(const matrix&, const token_t*, const float*, const matrix_of<float>&,
                                                  double*) const;
template void cuda_layers::weighted_cross_entropy(const matrix&, const token_t*, const float*,
                                                  const matrix_of<unmask::bfloat16>&, double*) const;

} // namespace language_model
