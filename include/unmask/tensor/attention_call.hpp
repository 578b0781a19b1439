// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/tensor/tensor_view.hpp>

UNMASK_NAMESPACE_BEGIN

/// An attention call as an attention_backend receives it: checked, with defaults filled in. Shapes are those of
/// attention_tensors.
template <class T>
struct attention_call {
    tensor_view<const T, 4> query;     ///< [batch, query_length, heads, head_dim]
    tensor_view<const T, 4> key;       ///< [batch, key_length, kv_heads, head_dim]
    tensor_view<const T, 4> value;     ///< like key
    tensor_view<T, 4> output;          ///< like query
    tensor_view<float, 3> log_sum_exp; ///< [batch, heads, query_length]; empty if not wanted

    index_t batch;        ///< number of sequences
    index_t query_length; ///< query positions per sequence, padding included
    index_t key_length;   ///< key positions per sequence, padding included
    index_t heads;        ///< number of query heads, a multiple of kv_heads
    index_t kv_heads;     ///< number of key and value heads
    index_t head_dim;     ///< elements per head

    float scale;                  ///< factor of query · key
    float soft_cap;               ///< if positive, scores become soft_cap · tanh(score / soft_cap)
    index_t query_offset;         ///< absolute position of the first query
    index_t key_offset;           ///< absolute position of the first key
    const index_t* query_lengths; ///< [batch], in host memory; null if all are query_length
    const index_t* key_lengths;   ///< [batch], in host memory; null if all are key_length

    /// The number of queries of a sequence, without padding.
    [[nodiscard]] index_t queries(index_t sequence) const {
        return query_lengths != nullptr ? query_lengths[sequence] : query_length;
    }
    /// The number of keys of a sequence, without padding.
    [[nodiscard]] index_t keys(index_t sequence) const {
        return key_lengths != nullptr ? key_lengths[sequence] : key_length;
    }
    /// The number of query heads that share a key and value head.
    [[nodiscard]] index_t group() const { return heads / kv_heads; }
};

/// The gradients of an attention_call. `output` is given; the others are written unless they are empty. Gradient is T,
/// or float for sums of which others are still to come.
template <class T, class Gradient = T>
struct attention_call_gradients {
    tensor_view<const T, 4> output;    ///< gradient of the loss with respect to the output
    tensor_view<Gradient, 4> query;    ///< like query
    tensor_view<Gradient, 4> key;      ///< like key
    tensor_view<Gradient, 4> value;    ///< like value
    tensor_view<float, 1> sink_logits; ///< [heads]
    tensor_view<float, 2> sink_keys;   ///< [kv_heads, head_dim]
    tensor_view<float, 2> sink_values; ///< [kv_heads, head_dim]
};

UNMASK_NAMESPACE_END
