// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <vector>

#include <unmask/executor/cuda_executor.cuh>

#include "../rules.hpp"
#include "../weights.hpp"
#include "device_memory.cuh"

namespace language_model {

/// AdamW on the GPU: adamw.hpp with the memory of the device. T is what products are stored as.
class device_adamw {
public:
    explicit device_adamw(const std::vector<weight_slice>& slices, index_t weights);

    device_array<float> first;  ///< running mean of the gradient
    device_array<float> second; ///< running mean of its square

    /// Changes the weights, and where T is not float the products, which are the weights, rounded. Gradients longer
    /// than largest_norm are shortened to that. Enqueues its work; exec.memory is not null.
    template <class T>
    void update(const unmask::cuda_executor& exec, const adamw_step& rule, double largest_norm, float* weights,
                const float* gradients, T* products) const;

private:
    device_array<weight_slice> slices_;
};

/// products[i] = T(weights[i])
template <class T>
void round_weights(const unmask::cuda_executor& exec, const float* weights, T* products, index_t size);

} // namespace language_model
