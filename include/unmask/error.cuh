// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

#include <cuda_runtime_api.h>

#include <unmask/config.hpp>

UNMASK_NAMESPACE_BEGIN

/// A failed call of the CUDA runtime. what() reads "cudaMallocAsync: out of memory (2)".
class cuda_error : public std::runtime_error {
public:
    /// The failure of the function named `call`, which returned `code`.
    cuda_error(std::string call, cudaError_t code)
        : std::runtime_error(call + ": " + cudaGetErrorString(code) + " (" + std::to_string(code) + ")"),
          call_(std::move(call)), code_(code) {}

    /// The name of the function that failed.
    [[nodiscard]] const std::string& call() const noexcept { return call_; }
    /// The error code that the function returned.
    [[nodiscard]] cudaError_t code() const noexcept { return code_; }

private:
    std::string call_;
    cudaError_t code_;
};

UNMASK_NAMESPACE_END
