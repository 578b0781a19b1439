// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/tensor/tensor_view.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// One attention call as the executors' kernels get it from the front door: checked, defaults filled in.
template <class T>
struct attention_call {
    tensor_view<const T, 4> query;
    tensor_view<const T, 4> key;
    tensor_view<const T, 4> value;
    tensor_view<T, 4> output;
    tensor_view<float, 3> log_sum_exp;

    index_t batch;
    index_t query_length;
    index_t key_length;
    index_t heads;
    index_t kv_heads;
    index_t head_dim;

    float scale;
    float soft_cap;
    index_t query_offset;
    const index_t* query_lengths; // null: all are query_length
    const index_t* key_lengths;   // null: all are key_length

    [[nodiscard]] index_t queries(index_t sequence) const {
        return query_lengths != nullptr ? query_lengths[sequence] : query_length;
    }
    [[nodiscard]] index_t keys(index_t sequence) const {
        return key_lengths != nullptr ? key_lengths[sequence] : key_length;
    }
    [[nodiscard]] index_t group() const { return heads / kv_heads; }
};

// The gradients of such a call. Empty views are not wanted.
template <class T>
struct gradient_views {
    tensor_view<const T, 4> output; // given
    tensor_view<T, 4> query;
    tensor_view<T, 4> key;
    tensor_view<T, 4> value;
    tensor_view<float, 1> sink_logits;
    tensor_view<float, 2> sink_keys;
    tensor_view<float, 2> sink_values;
};

} // namespace detail
UNMASK_NAMESPACE_END
