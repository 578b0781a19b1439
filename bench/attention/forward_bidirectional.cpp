// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "../support/attention_case.hpp"
#include "cases.hpp"

void bench::add_forward_bidirectional(const options& options) {
    const auto add_shape = [&](const shape& shape) {
        add<direction::forward>(options, shape, measured<unmask::bidirectional>());
    };
    const int threads = options.threads;

    for (const index_t head_dim : {64, 128}) {
        for (const index_t length : {512, 1024, 2048, 4096, 8192}) {
            add_shape({.length = length, .head_dim = head_dim, .threads = threads});
        }
        if (threads > 1) {
            add_shape({.length = 4096, .head_dim = head_dim, .threads = 1});
        }
        // A few queries on a long cache.
        add_shape({.length = 16384, .head_dim = head_dim, .threads = threads, .queries = 32, .kv_heads = 1});
    }
    for (const index_t head_dim : {32, 80, 96, 192, 256}) {
        add_shape({.length = 2048, .head_dim = head_dim, .threads = threads});
    }
    // Lengths that no tile divides, and what they are rounded up to.
    for (const index_t length : {33, 64, 100, 128, 257, 320, 2047}) {
        add_shape({.length = length, .head_dim = 64, .threads = threads});
    }
}
