// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <unmask/sink/key_value_sink.hpp>
#include <unmask/tensor/float_types.hpp>

#include "attention_case.cuh"
#include "cases.hpp"

void bench::cuda::add_forward_sinks(const options& options) {
    for (const index_t head_dim : {64, 128}) {
        const shape content = usual_shape(8192, head_dim);
        add<direction::forward, unmask::bfloat16, unmask::key_value_sink>(options, content,
                                                                          measured<unmask::bidirectional>());
        shape with_sink = content;
        with_sink.length = with_sink.queries = content.length + 1;
        add<direction::forward>(options, with_sink, measured<unmask::extra_sink<unmask::bidirectional>>());
    }
}
