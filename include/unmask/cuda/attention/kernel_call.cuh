// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/cuda/runtime/device.cuh>
#include <unmask/numeric/detail/base_2.hpp>
#include <unmask/numeric/detail/integers.hpp>
#include <unmask/numeric/rounded.hpp>

// One attention call as kernels get it, by value: plain members, because device code can't call those of std::array,
// and the lengths of a ragged batch, because copying them to the device would be one more thing to wait for.

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

// [sequences, positions, heads, head_dim], innermost stride 1.
template <class Element>
struct tensor {
    Element* data;
    index_t sequence_stride;
    index_t position_stride;
    index_t head_stride;

    UNMASK_DEVICE Element* row(int sequence, int position, int head) const {
        return data + sequence * sequence_stride + position * position_stride + head * head_stride;
    }
};

// [sequences, heads, positions], any strides.
struct row_values {
    float* data; // null: not wanted
    index_t sequence_stride;
    index_t head_stride;
    index_t position_stride;

    UNMASK_DEVICE float& at(int sequence, int head, int position) const {
        return data[sequence * sequence_stride + head * head_stride + position * position_stride];
    }
};

inline constexpr int most_ragged_sequences = 128; // of one launch: what fits beside the rest in a kernel's parameters

template <class T>
struct kernel_call {
    tensor<const T> query;
    tensor<const T> key;
    tensor<const T> value;
    tensor<T> output;
    row_values log_sum_exp;

    int sequences;
    int query_length;
    int key_length;
    int kv_heads;
    int group; // query heads that share a kv head
    int head_dim;
    float scale;         // q · k times this is a score, if scores are not capped
    float softmax_scale; // what transform_scores leaves of it to softmax
    float cap;           // 0: none
    float inverse_cap;
    index_t query_offset;

    bool ragged;
    int query_lengths[most_ragged_sequences];
    int key_lengths[most_ragged_sequences];

    UNMASK_DEVICE int queries(int sequence) const { return ragged ? query_lengths[sequence] : query_length; }
    UNMASK_DEVICE int keys(int sequence) const { return ragged ? key_lengths[sequence] : key_length; }

    // Queries and the heads that share keys are packed into one sequence of rows, heads innermost: neighbouring rows
    // then have neighbouring positions, and few queries still fill a tile. Row r is query r / group of head r % group.
    UNMASK_DEVICE int query_of(int row) const { return row / group; }
    UNMASK_DEVICE int head_of(int kv_head, int row) const { return kv_head * group + row % group; }
    UNMASK_DEVICE index_t position_of(int row) const { return query_offset + query_of(row); }

    // A sum of products as a score. Rounded, so that every kernel comes to the same.
    UNMASK_DEVICE float score(float product) const {
        const float score = product_of(product, scale);
        return cap > 0.0F ? capped(score) : score;
    }
    // cap · tanh(x): an odd polynomial near 0, elsewhere 1 − 2 / (1 + e^2x), which would cancel there.
    UNMASK_DEVICE float capped(float score) const {
        const float x = score * inverse_cap;
        const float square = x * x;
        float p = -6.27637853e-3F;
        p = p * square + 2.11162076e-2F;
        p = p * square - 5.38751368e-2F;
        p = p * square + 1.33329240e-1F;
        p = p * square - 3.33333304e-1F;
        const float near = x + x * square * p;
        const float far = 1.0F - 2.0F * device::reciprocal(1.0F + device::exp2(x * (2.0F * log2_e)));
        return cap * (square < 0.36F ? near : far);
    }
};

// What to subtract from scores, where `largest` is a row's largest score and −∞ if it has seen nothing.
UNMASK_DEVICE float shift_of(float largest) {
    return largest == minus_infinity ? 0.0F : largest;
}
// log Σ exp(score), where `sum` is Σ exp(score − largest).
UNMASK_DEVICE float log_sum_of(float largest, float sum) {
    return sum == 0.0F ? minus_infinity : largest + device::log2(sum) * ln_2;
}
// e^x.
UNMASK_DEVICE float exp(float x) {
    return device::exp2(x * log2_e);
}
// What a key weighs in a row whose log-sum-exp is known, and 0 where it is hidden, also if the row saw nothing, or NaN.
UNMASK_DEVICE float weight_of(float score, float log_sum_exp) {
    return score == minus_infinity ? 0.0F : exp(score - log_sum_exp);
}

} // namespace detail::cuda
UNMASK_NAMESPACE_END
