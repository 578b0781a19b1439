// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <concepts>
#include <type_traits>

#include <unmask/config.hpp>

UNMASK_NAMESPACE_BEGIN

/// A sink policy: an extra term in each row's softmax, besides the row's keys.
///
/// With zᵢ the sink's logit for query i and u its value,
///     outᵢ = (Σⱼ exp(sᵢⱼ) vⱼ + exp(zᵢ) u) / (Σⱼ exp(sᵢⱼ) + exp(zᵢ)).
/// A policy is a small trivially copyable value. Three constants say where z and u come from:
///
///   present     false only for `no_sink`: z = −∞, and no code is generated
///   has_key     z = scale · q · key(kv_head), soft-capped like the score of any key; otherwise z = logit(head)
///   has_value   u = value(kv_head); otherwise u = 0
///
/// `key` and `value` return head_dim floats. Every query sees the sink, whatever the mask.
template <class S>
concept sink_policy = std::is_trivially_copyable_v<S> && requires(const S& sink, index_t head) {
    { S::present } -> std::convertible_to<bool>;
    { S::has_key } -> std::convertible_to<bool>;
    { S::has_value } -> std::convertible_to<bool>;
    requires !S::present || S::has_key || requires {
        { sink.logit(head) } -> std::convertible_to<float>;
    };
    requires !S::has_key || requires {
        { sink.key(head) } -> std::convertible_to<const float*>;
    };
    requires !S::has_value || requires {
        { sink.value(head) } -> std::convertible_to<const float*>;
    };
};

UNMASK_NAMESPACE_END
