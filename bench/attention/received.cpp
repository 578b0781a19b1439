// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "../support/attention_case.hpp"
#include "cases.hpp"

void bench::add_received(const options& options) {
    const auto add_mask = [&](const shape& shape, const auto& mask) { add<direction::received>(options, shape, mask); };
    const int threads = options.threads;

    for (const index_t head_dim : {64, 128}) {
        add_mask({.length = 2048, .head_dim = head_dim, .threads = threads}, measured<unmask::bidirectional>());
        add_mask({.length = 4096, .head_dim = head_dim, .threads = threads}, measured<unmask::causal>());
    }
    // For the memory it takes.
    add_mask({.length = 65536, .head_dim = 64, .threads = threads}, measured<unmask::sliding_window>());
}
