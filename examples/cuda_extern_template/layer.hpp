// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// What files see that nvcc doesn't compile. The names of the library's types carry the compiler's settings, so that
/// only plain types cross from one compiler to the other.

#include <cstdint>

#include <cuda_runtime_api.h>

struct layer_shape {
    static constexpr std::int64_t head_dim = 64;

    std::int64_t length;
    std::int64_t heads;
};

/// Enqueues attention under the mask of *One Token Is Enough*, the first token being the sink. The tensors are
/// [length, heads, head_dim] of bfloat16, dense, in memory that the device can read.
void layer(cudaStream_t stream, layer_shape shape, const std::uint16_t* query, const std::uint16_t* key,
           const std::uint16_t* value, std::uint16_t* output);
