// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "attention_case.cuh"
#include "cases.hpp"

void bench::cuda::add_received(const options& options) {
    for (const index_t head_dim : {64, 128}) {
        add<direction::received>(options, usual_shape(8192, head_dim), measured<unmask::bidirectional>());
        add<direction::received>(options, usual_shape(8192, head_dim), measured<unmask::causal>());
    }
}
