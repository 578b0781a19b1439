// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "adamw.cuh"

#include <unmask/tensor/float_types.hpp>

#include "sums.cuh"

namespace language_model {

namespace {

// A block for each slice.
__global__ void squares_kernel(const weight_slice* slices, const float* gradients, double* squares) {
    const weight_slice where = slices[blockIdx.x];
    double sum = 0.0;
    for (index_t i = where.begin + threadIdx.x; i < where.begin + where.count; i += block_threads) {
        sum += static_cast<double>(gradients[i]) * static_cast<double>(gradients[i]);
    }
    sum = sum_of_block(sum);
    if (threadIdx.x == 0) {
        squares[blockIdx.x] = sum;
    }
}

template <class T>
struct update_parameters {
    adamw_step rule;
    double largest_norm;
    const weight_slice* slices;
    const double* square; // of the gradient's norm
    float* weights;
    float* first;
    float* second;
    const float* gradients;
    T* products; // null: they are the weights
};

template <class T>
__global__ void update_kernel(update_parameters<T> p) {
    const weight_slice where = p.slices[blockIdx.x];
    const double norm = sqrt(*p.square);
    const auto clip = static_cast<float>(norm > p.largest_norm ? p.largest_norm / norm : 1.0);
    const float keep = where.decays ? p.rule.decay : 1.0F;
    for (index_t i = where.begin + threadIdx.x; i < where.begin + where.count; i += block_threads) {
        p.rule(p.weights[i], p.first[i], p.second[i], p.gradients[i], keep, clip);
        if (p.products != nullptr) {
            p.products[i] = T(p.weights[i]);
        }
    }
}

template <class T>
__global__ void round_weights_kernel(const float* weights, T* products, index_t size) {
    if (const index_t i = thread_of_grid(); i < size) {
        products[i] = T(weights[i]);
    }
}

} // namespace

device_adamw::device_adamw(const std::vector<weight_slice>& slices, index_t weights)
    : first(std::vector<float>(static_cast<std::size_t>(weights))), second(first.read()), slices_(slices) {}

template <class T>
void device_adamw::update(const unmask::cuda_executor& exec, const adamw_step& rule, double largest_norm,
                          float* weights, const float* gradients, T* products) const {
    const scratch_array<double> squares(exec, slices_.size() + 1);
    double* const square = squares.data() + slices_.size();
    enqueue(&squares_kernel, slices_.size(), exec.stream, slices_.data(), gradients, squares.data());
    expect_success(cudaMemsetAsync(square, 0, sizeof(double), exec.stream), "cudaMemsetAsync");
    enqueue(&add_all_kernel<double>, 1, exec.stream, squares.data(), slices_.size(), square);
    enqueue(&update_kernel<T>, slices_.size(), exec.stream,
            update_parameters<T>{rule, largest_norm, slices_.data(), square, weights, first.data(), second.data(),
                                 gradients, products});
}

template <class T>
void round_weights(const unmask::cuda_executor& exec, const float* weights, T* products, index_t size) {
    enqueue(&round_weights_kernel<T>, blocks_for(size, block_threads), exec.stream, weights, products, size);
}

template void device_adamw::update(const unmask::cuda_executor&, const adamw_step&, double, float*, const float*,
                                   float*) const;
template void device_adamw::update(const unmask::cuda_executor&, const adamw_step&, double, float*, const float*,
                                   unmask::bfloat16*) const;
template void round_weights(const unmask::cuda_executor&, const float*, unmask::bfloat16*, index_t);

} // namespace language_model
