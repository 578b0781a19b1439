// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <unmask/sink/key_sink.hpp>
#include <unmask/sink/key_value_sink.hpp>
#include <unmask/sink/logit_sink.hpp>
#include <unmask/sink/off_by_one_sink.hpp>

#include "../support/attention_case.hpp"
#include "cases.hpp"

void bench::add_forward_sinks(const options& options) {
    for (const index_t head_dim : {64, 128}) {
        const shape shape{.length = 2048, .head_dim = head_dim, .threads = options.threads};
        add<direction::forward, float, unmask::off_by_one_sink>(options, shape, bidirectional());
        add<direction::forward, float, unmask::logit_sink>(options, shape, bidirectional());
        add<direction::forward, float, unmask::key_sink>(options, shape, bidirectional());
        add<direction::forward, float, unmask::key_value_sink>(options, shape, bidirectional());
    }
}
