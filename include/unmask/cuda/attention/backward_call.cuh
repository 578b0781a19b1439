// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/cuda/attention/kernel_call.cuh>
#include <unmask/cuda/runtime/device.cuh>
#include <unmask/numeric/detail/base_2.hpp>

// The backward pass as kernels get it, by value. Three kernels in a row: one that looks at each row once (Δ and the
// sink), one for the gradients of keys and values, one for those of queries. The last two compute scores anew; no sum
// depends on the order in which blocks run. Where it may, the second adds to the gradients of queries as well, and the
// third only rounds them.

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

// Gradient is T, or float for sums of which others are still to come.
template <class T, class Gradient = T>
struct backward_call {
    kernel_call<T> call; // its output and log_sum_exp are read
    tensor<const T> d_output;
    tensor<Gradient> d_query; // where not wanted, data is null; the next two as well
    tensor<Gradient> d_key;
    tensor<Gradient> d_value;
    float* delta;         // Δ = Σ output · d_output of each row()
    float* d_sink_scores; // the gradient of its sink's score; null if the sink has no key
    float* sink_keys;     // [kv_heads][head_dim], a copy; null if there are none
    float* query_sums;    // see query_sums.cuh

    // The number of a row in [sequences][heads][query_length].
    UNMASK_DEVICE index_t row(int sequence, int head, int query) const {
        const index_t heads = static_cast<index_t>(call.kv_heads) * call.group;
        return (sequence * heads + head) * call.query_length + query;
    }
};

// The derivative of a score by the product that it is made of, without the scale.
template <class T>
UNMASK_DEVICE float cap_derivative(const kernel_call<T>& call, float score) {
    const float tanh = score * call.inverse_cap;
    return call.cap > 0.0F ? 1.0F - tanh * tanh : 1.0F;
}

// P = exp(S − LSE) and dS = P · (dP − Δ), times the derivative of the cap.
struct score_gradient {
    float probability;
    float d_score;

    // Without a cap.
    UNMASK_DEVICE score_gradient(float score, float log_sum_exp, float d_probability, float delta)
        : probability(weight_of(score, log_sum_exp)),
          d_score(score != minus_infinity ? probability * (d_probability - delta) : 0.0F) {}

    template <class T>
    UNMASK_DEVICE score_gradient(const kernel_call<T>& call, float score, float log_sum_exp, float d_probability,
                                 float delta)
        : score_gradient(score, log_sum_exp, d_probability, delta) {
        if (score != minus_infinity) {
            d_score *= cap_derivative(call, score);
        }
    }
};

} // namespace detail::cuda
UNMASK_NAMESPACE_END
