// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Training through attention on the GPU: a layer with a composed mask and a sink token learns to give what it is told
// to, by the gradients of everything that it reads. Exits with 0 if they are the reference's, and the loss falls.

#include <cmath>
#include <cstddef>
#include <cstdio>
#include <vector>

#include <cuda_runtime.h>

#include <unmask/unmask.cuh>

using unmask::index_t;

constexpr index_t length = 96;
constexpr index_t heads = 2;
constexpr index_t dim = 32;
constexpr index_t size = length * heads * dim;

/// What the layer reads, or the gradients of that: query, key and value, the sink's key, the sink's value.
struct parameters {
    static constexpr index_t count = 3 * size + 2 * heads * dim;
    float* data;

    auto tensor(index_t i) const { return unmask::view(data + i * size, 1, length, heads, dim); }
    auto sink(index_t i) const { return unmask::view(data + 3 * size + i * heads * dim, heads, dim); }
};

unmask::attention_tensors<float> tensors_of(const parameters& of, float* output, float* log_sum_exp) {
    return {.query = of.tensor(0),
            .key = of.tensor(1),
            .value = of.tensor(2),
            .output = unmask::view(output, 1, length, heads, dim),
            .log_sum_exp = unmask::view(log_sum_exp, 1, heads, length)};
}
unmask::attention_gradients<float> gradients_of(const parameters& of, const float* d_output) {
    return {.output = unmask::view(d_output, 1, length, heads, dim),
            .query = of.tensor(0),
            .key = of.tensor(1),
            .value = of.tensor(2),
            .sink_logits = {},
            .sink_keys = of.sink(0),
            .sink_values = of.sink(1)};
}

int main() {
    int gpus = 0;
    if (cudaGetDeviceCount(&gpus) != cudaSuccess || gpus == 0) {
        std::printf("skipped: there is no GPU\n");
        return 0;
    }
    float* memory = nullptr; // seen by both
    constexpr index_t floats = 2 * parameters::count + 2 * size + heads * length;
    if (cudaMallocManaged(&memory, floats * sizeof(float)) != cudaSuccess) {
        return 1;
    }
    const parameters weights{memory};
    const parameters gradients{memory + parameters::count};
    float* const output = memory + 2 * parameters::count;
    float* const d_output = output + size;
    for (index_t i = 0; i < parameters::count; ++i) {
        weights.data[i] = std::sin(static_cast<float>(i * i));
    }
    const unmask::key_value_sink sink{weights.sink(0), weights.sink(1)};
    const auto mask = unmask::block{16} && unmask::sliding_window{40, 40}; // blocks, none of which sees far
    const auto tensors = tensors_of(weights, output, d_output + size);

    const unmask::cuda_executor_for<> gpu; // float needs no kernels for tensor cores
    std::vector<double> losses;
    bool exact = true;
    for (int step = 0; step < 10; ++step) {
        unmask::attention_forward(gpu, tensors, mask, sink);
        cudaDeviceSynchronize(); // the loss is computed on the host here
        losses.push_back(0);
        for (index_t i = 0; i < size; ++i) {
            d_output[i] = output[i] - std::cos(static_cast<float>(i));
            losses.back() += 0.5 * d_output[i] * d_output[i] / size;
        }
        unmask::attention_backward(gpu, tensors, gradients_of(gradients, d_output), mask, sink);
        if (cudaDeviceSynchronize() != cudaSuccess) {
            return 1;
        }
        if (step == 0) {
            std::vector<float> expected(parameters::count);
            unmask::reference::attention_backward(tensors, gradients_of({expected.data()}, d_output), mask, sink);
            for (index_t i = 0; i < parameters::count; ++i) {
                exact = exact && std::fabs(gradients.data[i] - expected[static_cast<std::size_t>(i)]) < 1e-4F;
            }
        }
        for (index_t i = 0; i < parameters::count; ++i) {
            weights.data[i] -= 0.5F * gradients.data[i];
        }
    }
    cudaFree(memory);
    std::printf("loss %.4f, after %d steps %.4f; gradients %s\n", losses.front(), static_cast<int>(losses.size()),
                losses.back(), exact ? "as the reference has them" : "are wrong");
    return exact && losses.back() < 0.9 * losses.front() ? 0 : 1;
}
