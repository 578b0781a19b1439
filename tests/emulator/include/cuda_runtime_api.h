// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

// The types of the CUDA runtime that the library's interface names, on the host.

struct emulated_stream;
using cudaStream_t = emulated_stream*;
using cudaError_t = int;

inline const char* cudaGetErrorString(cudaError_t /*code*/) {
    return "emulated error";
}
