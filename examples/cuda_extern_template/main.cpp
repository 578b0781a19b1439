// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Attention on the GPU for a file that is plain C++. Exits with 0 if the CPU finds the same.

#include <cmath>
#include <cstdio>
#include <vector>

#include <cuda_runtime.h>

#include <unmask/unmask.hpp>

#include "layer.hpp"

int main() {
    int gpus = 0;
    if (cudaGetDeviceCount(&gpus) != cudaSuccess || gpus == 0) {
        std::printf("skipped: there is no GPU\n");
        return 0;
    }

    constexpr layer_shape shape{.length = 256, .heads = 4, .head_dim = 64};
    constexpr std::size_t size = shape.length * shape.heads * shape.head_dim;
    float* memory = nullptr; // query, key, value and output, seen by both
    if (cudaMallocManaged(&memory, 4 * size * sizeof(float)) != cudaSuccess) {
        return 1;
    }
    for (std::size_t i = 0; i < 3 * size; ++i) {
        memory[i] = std::sin(static_cast<float>(i));
    }
    layer(nullptr, shape, memory, memory + size, memory + 2 * size, memory + 3 * size);
    if (cudaDeviceSynchronize() != cudaSuccess) {
        return 1;
    }

    std::vector<float> expected(size);
    const auto tensor = [&](auto* data) { return unmask::view(data, 1, shape.length, shape.heads, shape.head_dim); };
    const unmask::attention_tensors<float> tensors{.query = tensor(memory),
                                                   .key = tensor(memory + size),
                                                   .value = tensor(memory + 2 * size),
                                                   .output = tensor(expected.data())};
    unmask::attention_forward(unmask::cpu_executor{}, tensors, unmask::extra_sink{unmask::bidirectional{}});
    float largest = 0.0F;
    for (std::size_t i = 0; i < size; ++i) {
        largest = std::fmax(largest, std::fabs(memory[3 * size + i] - expected[i]));
    }
    cudaFree(memory);
    std::printf("largest difference between GPU and CPU: %g\n", largest);
    return largest < 1e-5F ? 0 : 1;
}
