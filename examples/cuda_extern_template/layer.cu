// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "layer.hpp"

#include "attention.cuh"

void layer(cudaStream_t stream, layer_shape shape, const float* query, const float* key, const float* value,
           float* output) {
    const auto& [length, heads, head_dim] = shape;
    const unmask::attention_tensors<float> tensors{.query = unmask::view(query, 1, length, heads, head_dim),
                                                   .key = unmask::view(key, 1, length, heads, head_dim),
                                                   .value = unmask::view(value, 1, length, heads, head_dim),
                                                   .output = unmask::view(output, 1, length, heads, head_dim)};
    unmask::attention_forward(unmask::cuda_executor{stream}, tensors, layer_mask{});
}
