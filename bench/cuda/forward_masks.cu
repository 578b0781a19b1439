// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "attention_case.cuh"
#include "cases.hpp"

void bench::cuda::add_forward_masks(const options& options) {
    for (const index_t head_dim : {64, 128}) {
        for (const index_t length : {512, 1024, 2048, 4096, 8192, 16384}) {
            add<direction::forward>(options, usual_shape(length, head_dim), measured<unmask::causal>());
        }
        add<direction::forward>(options, usual_shape(8192, head_dim), measured<unmask::document>(8192));
        add<direction::forward>(options, usual_shape(8192, head_dim), measured<unmask::sliding_window>());
    }
}
