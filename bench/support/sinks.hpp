// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <vector>

#include <unmask/attention/tensors.hpp>
#include <unmask/sink/sink_policy.hpp>
#include <unmask/tensor/tensor_view.hpp>

#include "../../tests/support/sink_list.hpp"
#include "buffers.hpp"
#include "shape.hpp"

namespace bench {

using test::sink_name;

/// What a sink of any kind learns, and the gradients of that.
template <unmask::sink_policy Sink>
struct sink_buffers {
    index_t kv_heads, head_dim;
    std::vector<float> logits, keys, values;
    std::vector<float> d_logits{logits}, d_keys{keys}, d_values{values};

    explicit sink_buffers(const shape& shape)
        : kv_heads(shape.kv_heads), head_dim(shape.head_dim), logits(numbers<float>(shape.heads, 5)),
          keys(numbers<float>(kv_heads * head_dim, 6)), values(numbers<float>(kv_heads * head_dim, 7)) {}

    [[nodiscard]] Sink sink() const {
        if constexpr (Sink::has_value) {
            return {unmask::view(keys.data(), kv_heads, head_dim), unmask::view(values.data(), kv_heads, head_dim)};
        } else if constexpr (Sink::has_key) {
            return {unmask::view(keys.data(), kv_heads, head_dim)};
        } else if constexpr (requires(Sink sink) { sink.logits; }) {
            return {unmask::view(logits)};
        } else {
            return {};
        }
    }

    template <class T>
    void add_to(unmask::attention_gradients<T>& gradients) {
        if constexpr (Sink::has_key) {
            gradients.sink_keys = unmask::view(d_keys.data(), kv_heads, head_dim);
        } else if constexpr (Sink::present) {
            gradients.sink_logits = unmask::view(d_logits);
        }
        if constexpr (Sink::has_value) {
            gradients.sink_values = unmask::view(d_values.data(), kv_heads, head_dim);
        }
    }
};

} // namespace bench
