// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <tuple>

#include "../support/attention_case.hpp"
#include "cases.hpp"

void bench::add_forward_sinks(const options& options) {
    for (const index_t head_dim : {64, 128}) {
        const shape shape{.length = 2048, .head_dim = head_dim, .threads = options.threads};
        const auto add_sink = [&]<class Sink>(const test::listed_sink<Sink>&) {
            if constexpr (Sink::present) { // without one: forward_bidirectional.cpp
                add<direction::forward, float, Sink>(options, shape, measured<unmask::bidirectional>());
            }
        };
        std::apply([&](const auto&... listed) { (add_sink(listed), ...); }, test::sink_list);
    }
}
