// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <concepts>
#include <optional>
#include <span>
#include <type_traits>

#include <unmask/config.hpp>
#include <unmask/tensor/float_types.hpp>
#include <unmask/tensor/tensor_view.hpp>

UNMASK_NAMESPACE_BEGIN

/// The type that sums over a row are stored as: double for tensors of double (in the reference), otherwise float.
template <class T>
using sum_type = std::conditional_t<std::same_as<T, double>, double, float>;

/// The tensors of an attention call. T is float, bfloat16 or float16; the reference also accepts double.
/// Innermost strides are 1. heads is a multiple of kv_heads (grouped queries): head h reads key and value
/// head h / (heads / kv_heads).
template <class T>
struct attention_tensors {
    tensor_view<const T, 4> query; ///< [batch, query_length, heads, head_dim]
    tensor_view<const T, 4> key;   ///< [batch, key_length, kv_heads, head_dim]
    tensor_view<const T, 4> value; ///< [batch, key_length, kv_heads, head_dim]
    tensor_view<T, 4> output;      ///< [batch, query_length, heads, head_dim]
    tensor_view<sum_type<T>, 3>
        log_sum_exp{}; ///< [batch, heads, query_length], natural log, sink included; may be empty
};

/// The gradients of an attention call. `output` is read; the others are overwritten, or not computed if they are empty.
template <class T>
struct attention_gradients {
    tensor_view<const T, 4> output;            ///< [batch, query_length, heads, head_dim], of the loss
    tensor_view<T, 4> query{};                 ///< [batch, query_length, heads, head_dim]
    tensor_view<T, 4> key{};                   ///< [batch, key_length, kv_heads, head_dim]
    tensor_view<T, 4> value{};                 ///< [batch, key_length, kv_heads, head_dim]
    tensor_view<sum_type<T>, 1> sink_logits{}; ///< [heads], for logit_sink, summed over the batch like the next two
    tensor_view<sum_type<T>, 2> sink_keys{};   ///< [kv_heads, head_dim], for key_sink and key_value_sink
    tensor_view<sum_type<T>, 2> sink_values{}; ///< [kv_heads, head_dim], for key_value_sink
};

/// Optional parameters of an attention call.
struct attention_options {
    std::optional<float> scale{};             ///< factor of query · key; 1/√head_dim if not given
    index_t query_offset = 0;                 ///< absolute position of the first query, for caches: at least 0, and at
                                              ///< most 2^62 − query_length
    index_t key_offset = 0;                   ///< absolute position of the first key, for a part of a sequence's keys:
                                              ///< at least 0, and at most 2^62 − key_length
    std::span<const index_t> query_lengths{}; ///< [batch], for ragged batches; later rows get output 0, LSE −∞
    std::span<const index_t> key_lengths{};   ///< [batch], for ragged batches; later keys are never read
    float soft_cap = 0.0F; ///< if not 0, scores become soft_cap · tanh(score / soft_cap); 1e-30 to 1e30
};

UNMASK_NAMESPACE_END
