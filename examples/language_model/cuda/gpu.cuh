// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <stdexcept>
#include <string>

#include <cuda_runtime_api.h>

namespace language_model {

/// Throws std::runtime_error if there is no GPU, with CUDA's reason.
inline void expect_gpu() {
    int gpus = 0;
    if (const cudaError_t code = cudaGetDeviceCount(&gpus); code != cudaSuccess || gpus == 0) {
        const std::string reason = code != cudaSuccess ? cudaGetErrorString(code) : "none is visible";
        throw std::runtime_error("--device is 'cuda', but there is no GPU: " + reason);
    }
}

} // namespace language_model
