// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "attention_case.cuh"
#include "cases.hpp"

void bench::cuda::add_forward_bidirectional(const options& options) {
    const auto add_shape = [&](const shape& shape) {
        add<direction::forward>(options, shape, measured<unmask::bidirectional>());
    };

    for (const index_t head_dim : {64, 128}) {
        for (const index_t length : {512, 1024, 2048, 4096, 8192, 16384}) {
            add_shape(usual_shape(length, head_dim));
        }
        shape grouped = usual_shape(8192, head_dim);
        grouped.kv_heads = 2;
        add_shape(grouped);
        shape ragged = usual_shape(2048, head_dim);
        ragged.ragged = true;
        add_shape(ragged);
        // A few queries on a long cache: what takes time is to read it.
        add_shape({.length = 32768, .head_dim = head_dim, .queries = 32, .heads = 16, .kv_heads = 8});
    }
}
