// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// What a project that uses the library on a GPU may write. Without a GPU, it is told so.

#include <cstdio>

#include <unmask/unmask.cuh>

int main() {
    float* memory = nullptr;
    if (const cudaError_t code = cudaMalloc(&memory, 4 * 16 * sizeof(unmask::bfloat16)); code != cudaSuccess) {
        const unmask::cuda_error error("cudaMalloc", code);
        std::printf("no GPU: %s\n", error.what());
        return error.call() == "cudaMalloc" ? 0 : 1;
    }
}
