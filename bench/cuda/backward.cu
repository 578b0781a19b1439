// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "attention_case.cuh"
#include "cases.hpp"

void bench::cuda::add_backward(const options& options) {
    add<direction::backward, float>(options, usual_shape(2048, 64), measured<unmask::bidirectional>());
    add<direction::backward, float>(options, usual_shape(2048, 64), measured<unmask::causal>());
}
