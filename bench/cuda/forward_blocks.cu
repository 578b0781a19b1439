// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "attention_case.cuh"
#include "cases.hpp"

void bench::cuda::add_forward_blocks(const options& options) {
    for (const index_t head_dim : {64, 128}) {
        add<direction::forward>(options, usual_shape(8192, head_dim), measured<unmask::block>());
        add<direction::forward>(options, usual_shape(8192, head_dim), measured<unmask::block_diffusion>(8192));
    }
}
