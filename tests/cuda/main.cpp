// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Runs a program's tests where there is a GPU. Elsewhere it ends with 77, which ctest counts as skipped.

#define DOCTEST_CONFIG_IMPLEMENT
#include <cstdio>

#include <cuda_runtime_api.h>
#include <doctest/doctest.h>

int main(int argc, char** argv) {
    int gpus = 0;
    if (cudaGetDeviceCount(&gpus) != cudaSuccess || gpus == 0) {
        std::printf("skipped: no GPU\n");
        return 77;
    }
    return doctest::Context(argc, argv).run();
}
