// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/cpu/simd.hpp>
#include <unmask/tensor/tensor_view.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// One attention call as the CPU kernels see it: checked, defaults filled in.
template <class T>
struct attention_problem {
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

    // head_dim rounded up to whole registers: the row length of every packed tile.
    [[nodiscard]] index_t width() const { return (head_dim + lanes - 1) / lanes * lanes; }

    // Packed queries are multiplied by this, so that scores come out in the base-2 domain that exp2 wants. A soft cap
    // is applied to scores as they are, and brings the log2(e) itself.
    [[nodiscard]] float query_factor() const { return soft_cap > 0.0F ? scale : scale * log2_e; }

    // A row's log-sum-exp in base 2; for a row that sees nothing 0, with which exp2 of its scores, all −∞, is 0.
    [[nodiscard]] float base_2_sum(index_t sequence, index_t head, index_t row) const {
        const float natural = log_sum_exp(sequence, head, row);
        return is_minus_infinity(natural) ? 0.0F : natural * log2_e;
    }
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

// Queries and keys of a tile. 64 × 128 scores are 32 KiB; with their operands they stay in the second-level cache.
inline constexpr index_t query_tile = 64;
inline constexpr index_t key_tile = 128;

inline constexpr index_t tiles_of(index_t length, index_t tile) {
    return (length + tile - 1) / tile;
}

} // namespace detail
UNMASK_NAMESPACE_END
