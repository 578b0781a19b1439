// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <unmask/sink/key_value_sink.hpp>
#include <unmask/tensor/float_types.hpp>

#include "../support/attention_case.hpp"
#include "cases.hpp"

void bench::add_backward(const options& options) {
    const auto add_mask = [&](const shape& shape, const auto& mask) { add<direction::backward>(options, shape, mask); };
    const int threads = options.threads;

    for (const index_t head_dim : {64, 128}) {
        const shape short_shape{.length = 2048, .head_dim = head_dim, .threads = threads};
        add_mask(short_shape, measured<unmask::bidirectional>());
        add<direction::backward, float, unmask::key_value_sink>(options, short_shape,
                                                                measured<unmask::bidirectional>());
        add<direction::backward, unmask::bfloat16>(options, short_shape, measured<unmask::bidirectional>());

        const shape long_shape{.length = 4096, .head_dim = head_dim, .threads = threads};
        add_mask(long_shape, measured<unmask::bidirectional>());
        add_mask(long_shape, measured<unmask::causal>());
        add_mask(long_shape, measured<unmask::block>());
        add_mask(long_shape, measured<unmask::document>(4096));
        add_mask(long_shape, measured<unmask::block_diffusion>(4096));
        if (threads > 1) {
            const shape alone{.length = 4096, .head_dim = head_dim, .threads = 1};
            add_mask(alone, measured<unmask::bidirectional>());
            add_mask(alone, measured<unmask::causal>());
            add_mask(alone, measured<unmask::document>(4096));
        }
    }
    // For the memory it takes.
    add_mask({.length = 65536, .head_dim = 64, .threads = threads}, measured<unmask::sliding_window>());
}
