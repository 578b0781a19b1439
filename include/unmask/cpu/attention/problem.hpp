// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>

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

    // The log-sum-exp of some rows, one to a lane; idle lanes get 0.
    void log_sums(index_t sequence, index_t head, range rows, int lane_count, float* sums) const {
        std::fill_n(sums, lane_count, 0.0F);
        for (index_t row = rows.begin; row < rows.end; ++row) {
            *sums++ = this->log_sum_exp(sequence, head, row);
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
