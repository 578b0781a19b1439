// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <unmask/tensor/float_types.hpp>

#include "attention_case.cuh"
#include "cases.hpp"

void bench::cuda::add_forward_types(const options& options) {
    add<direction::forward, unmask::float16>(options, usual_shape(8192, 128), measured<unmask::bidirectional>());
    add<direction::forward, float>(options, usual_shape(2048, 64), measured<unmask::bidirectional>());
}
