// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <unmask/tensor/float_types.hpp>

#include "../support/attention_case.hpp"
#include "cases.hpp"

void bench::add_forward_16_bit(const options& options) {
    for (const index_t head_dim : {64, 128}) {
        const shape shape{.length = 2048, .head_dim = head_dim, .threads = options.threads};
        add<direction::forward, unmask::bfloat16>(options, shape, measured<unmask::bidirectional>());
        add<direction::forward, unmask::float16>(options, shape, measured<unmask::bidirectional>());
    }
}
