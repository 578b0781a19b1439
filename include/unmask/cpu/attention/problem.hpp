// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <limits>

#include <unmask/config.hpp>
#include <unmask/cpu/attention/tile_product.hpp>
#include <unmask/cpu/simd.hpp>
#include <unmask/mask/ranges.hpp>
#include <unmask/tensor/attention_call.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// One attention call as the CPU kernels see it.
template <class T>
struct attention_problem : attention_call<T> {
    explicit attention_problem(const attention_call<T>& call) : attention_call<T>(call) {}

    // head_dim rounded up to whole registers: the row length of every packed tile.
    [[nodiscard]] index_t width() const { return (this->head_dim + lanes - 1) / lanes * lanes; }

    // q · k times this is a score in the base-2 domain that exp2 wants. A soft cap is applied to scores as they are,
    // and brings the log2(e) itself.
    [[nodiscard]] float score_factor() const { return this->soft_cap > 0.0F ? this->scale : this->scale * log2_e; }

    // Packed queries carry the score factor: with this a sum of them becomes the gradient of a key.
    [[nodiscard]] float unpacked_scale() const { return this->soft_cap > 0.0F ? 1.0F : ln_2; }

    // A row's log-sum-exp in base 2; for a row that sees nothing 0, with which exp2 of its scores, all −∞, is 0.
    [[nodiscard]] float base_2_sum(index_t sequence, index_t head, index_t row) const {
        const float natural = this->log_sum_exp(sequence, head, row);
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

// Keys of a tile. Its scores with a strip of queries are 32 KiB: about the first-level cache.
inline constexpr index_t key_tile = 32 * block_rows;

inline constexpr index_t round_up(index_t value, index_t multiple) {
    return (value + multiple - 1) / multiple * multiple;
}

} // namespace detail
UNMASK_NAMESPACE_END
