// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// What files see that nvcc doesn't compile. The names of the library's types carry the compiler's settings, so that
/// only plain types cross from one compiler to the other.

#include <cstdint>

#include <cuda_runtime_api.h>

struct layer_shape {
    std::int64_t length;
    std::int64_t heads;
    std::int64_t head_dim;
};

/// Enqueues attention under the mask of *One Token Is Enough*, the first token being the sink. The tensors are
/// [length, heads, head_dim], dense, in memory that the device can read.
void layer(cudaStream_t stream, layer_shape shape, const float* query, const float* key, const float* value,
           float* output);
