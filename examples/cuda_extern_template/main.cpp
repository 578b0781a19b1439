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

    constexpr layer_shape shape{.length = 256, .heads = 4};
    constexpr std::size_t size = shape.length * shape.heads * layer_shape::head_dim;
    unmask::bfloat16* memory = nullptr; // query, key, value and output, seen by both
    if (cudaMallocManaged(reinterpret_cast<void**>(&memory), 4 * size * sizeof *memory) != cudaSuccess) {
        return 1;
    }
    for (std::size_t i = 0; i < 3 * size; ++i) {
        memory[i] = unmask::bfloat16(std::sin(static_cast<float>(i)));
    }
    auto* bits = reinterpret_cast<std::uint16_t*>(memory);
    layer(nullptr, shape, bits, bits + size, bits + 2 * size, bits + 3 * size);
    if (cudaDeviceSynchronize() != cudaSuccess) {
        return 1;
    }

    std::vector<unmask::bfloat16> expected(size);
    const auto tensor = [&](auto* data) {
        return unmask::view(data, 1, shape.length, shape.heads, layer_shape::head_dim);
    };
    const unmask::attention_tensors<unmask::bfloat16> tensors{.query = tensor(memory),
                                                              .key = tensor(memory + size),
                                                              .value = tensor(memory + 2 * size),
                                                              .output = tensor(expected.data())};
    unmask::attention_forward(unmask::cpu_executor{}, tensors, unmask::extra_sink{unmask::bidirectional{}});
    float largest = 0.0F;
    for (std::size_t i = 0; i < size; ++i) {
        const float apart = std::fabs(static_cast<float>(memory[3 * size + i]) - static_cast<float>(expected[i]));
        largest = std::fmax(largest, std::isnan(apart) ? INFINITY : apart);
    }
    cudaFree(memory);
    std::printf("largest difference between GPU and CPU: %g\n", largest);
    return largest < 1e-2F ? 0 : 1;
}
