// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <limits>

#include <unmask/config.hpp>
#include <unmask/cpu/simd.hpp>
#include <unmask/cpu/tile_product.hpp>
#include <unmask/mask/ranges.hpp>
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

    // q · k times this is a score in the base-2 domain that exp2 wants. A soft cap is applied to scores as they are, and
    // brings the log2(e) itself.
    [[nodiscard]] float score_factor() const { return soft_cap > 0.0F ? scale : scale * log2_e; }

    // Packed queries carry the score factor: with this a sum of them becomes the gradient of a key.
    [[nodiscard]] float unpacked_scale() const { return soft_cap > 0.0F ? 1.0F : ln_2; }

    // A row's log-sum-exp in base 2; for a row that sees nothing 0, with which exp2 of its scores, all −∞, is 0.
    [[nodiscard]] float base_2_sum(index_t sequence, index_t head, index_t row) const {
        const float natural = log_sum_exp(sequence, head, row);
        return is_minus_infinity(natural) ? 0.0F : natural * log2_e;
    }
    // The same for some rows, one to a lane; in idle lanes what makes every probability 0.
    void base_2_sums(index_t sequence, index_t head, range rows, int lane_count, float* sums) const {
        std::fill_n(sums, lane_count, std::numeric_limits<float>::max());
        for (index_t row = rows.begin; row < rows.end; ++row) {
            *sums++ = base_2_sum(sequence, head, row);
        }
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

// Keys of a tile. Its scores with a strip of queries are 32 KiB: about the first-level cache.
inline constexpr index_t key_tile = 32 * block_rows;

inline constexpr index_t round_up(index_t value, index_t multiple) {
    return (value + multiple - 1) / multiple * multiple;
}

inline constexpr index_t tiles_of(index_t length, index_t tile) {
    return (length + tile - 1) / tile;
}

} // namespace detail
UNMASK_NAMESPACE_END
