// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "../support/attention_case.hpp"
#include "cases.hpp"

void bench::add_forward_masks(const options& options) {
    const auto add_mask = [&](const shape& shape, const auto& mask) { add<direction::forward>(options, shape, mask); };
    const int threads = options.threads;

    for (const index_t head_dim : {64, 128}) {
        for (const index_t length : {512, 1024, 2048, 4096, 8192}) {
            const shape shape{.length = length, .head_dim = head_dim, .threads = threads};
            add_mask(shape, causal());
            add_mask(shape, block_32());
        }
        const shape long_shape{.length = 4096, .head_dim = head_dim, .threads = threads};
        add_mask(long_shape, document_16(4096));
        add_mask(long_shape, block_diffusion_32(4096));
        add_mask(long_shape, shadow_block_32(4096));
        add_mask(long_shape, prefix_quarter(4096));
        add_mask(long_shape, sliding_window_256());
        if (threads > 1) {
            const shape alone{.length = 4096, .head_dim = head_dim, .threads = 1};
            add_mask(alone, causal());
            add_mask(alone, document_16(4096));
        }
        add_mask({.length = 2049, .head_dim = head_dim, .threads = threads}, extra_sink());
    }
    // For the memory it takes.
    add_mask({.length = 65536, .head_dim = 64, .threads = threads}, sliding_window_256());
}
