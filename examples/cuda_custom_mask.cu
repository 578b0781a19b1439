// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// A mask of your own on the GPU: the policy of custom_mask.cpp, with UNMASK_HOST_DEVICE before its functions. Exits
// with 0 if the GPU finds what the CPU finds.

#include <cmath>
#include <cstddef>
#include <cstdio>
#include <vector>

#include <cuda_runtime.h>

#include <unmask/unmask.cuh>

using unmask::index_t;

/// Every `stride`-th position is a landmark, which all may see.
struct landmarks {
    index_t stride;

    UNMASK_HOST_DEVICE constexpr bool visible(index_t, index_t k) const { return k % stride == 0; }
    UNMASK_HOST_DEVICE constexpr unmask::tile_class classify(index_t, index_t, index_t k_begin, index_t k_end) const {
        const index_t first = (k_begin + stride - 1) / stride * stride;
        return first < k_end ? unmask::tile_class::partial : unmask::tile_class::empty;
    }
    UNMASK_HOST_DEVICE constexpr auto key_ranges(index_t, index_t, index_t keys) const {
        return unmask::ranges<1>({0, keys});
    }
};

int main() {
    int gpus = 0;
    if (cudaGetDeviceCount(&gpus) != cudaSuccess || gpus == 0) {
        std::printf("skipped: there is no GPU\n");
        return 0;
    }
    constexpr index_t length = 300;
    constexpr index_t heads = 4;
    constexpr std::size_t size = length * heads * 64;
    unmask::bfloat16* memory = nullptr; // query, key, value and output, seen by both
    if (cudaMallocManaged(&memory, 4 * size * sizeof *memory) != cudaSuccess) {
        return 1;
    }
    for (std::size_t i = 0; i < 3 * size; ++i) {
        memory[i] = unmask::bfloat16(std::sin(static_cast<float>(i)));
    }
    const auto tensor = [](auto* data) { return unmask::view(data, 1, length, heads, 64); };
    unmask::attention_tensors<unmask::bfloat16> tensors{.query = tensor(memory),
                                                        .key = tensor(memory + size),
                                                        .value = tensor(memory + 2 * size),
                                                        .output = tensor(memory + 3 * size)};
    const auto mask = landmarks{7} || unmask::sliding_window{16, 16};

    cudaStream_t stream = nullptr;
    if (cudaStreamCreate(&stream) != cudaSuccess) {
        return 1;
    }
    // Kernels for head dimension 64 alone: unmask::cuda_executor has them for all, and compiles that much longer.
    const unmask::cuda_executor_for<64> gpu{stream};
    unmask::attention_forward(gpu, tensors, mask); // enqueued, not done
    if (cudaStreamSynchronize(stream) != cudaSuccess) {
        return 1;
    }

    std::vector<unmask::bfloat16> expected(size);
    tensors.output = tensor(expected.data());
    unmask::attention_forward(unmask::cpu_executor{}, tensors, mask);
    float largest = 0.0F;
    for (std::size_t i = 0; i < size; ++i) {
        const float apart = std::fabs(static_cast<float>(memory[3 * size + i]) - static_cast<float>(expected[i]));
        largest = std::fmax(largest, std::isnan(apart) ? INFINITY : apart);
    }
    cudaFree(memory);
    cudaStreamDestroy(stream);
    std::printf("largest difference between GPU and CPU: %g\n", static_cast<double>(largest));
    return largest < 1e-2F ? 0 : 1;
}
