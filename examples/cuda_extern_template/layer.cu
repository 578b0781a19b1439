// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "layer.hpp"

#include "attention.cuh"

void layer(cudaStream_t stream, layer_shape shape, const std::uint16_t* query, const std::uint16_t* key,
           const std::uint16_t* value, std::uint16_t* output) {
    const auto input = [&](const std::uint16_t* bits) {
        const auto* elements = reinterpret_cast<const layer_element*>(bits);
        return unmask::view(elements, 1, shape.length, shape.heads, layer_shape::head_dim);
    };
    const unmask::attention_tensors<layer_element> tensors{
        .query = input(query),
        .key = input(key),
        .value = input(value),
        .output =
            unmask::view(reinterpret_cast<layer_element*>(output), 1, shape.length, shape.heads, layer_shape::head_dim),
    };
    unmask::attention_forward(layer_executor{stream}, tensors, layer_mask{});
}
