// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>

#include <unmask/config.hpp>
#include <unmask/cpu/attention/tile_product.hpp>
#include <unmask/cpu/simd.hpp>
#include <unmask/mask/ranges.hpp>
#include <unmask/tensor/attention_call.hpp>
#include <unmask/tensor/tensor_view.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// One attention call as the CPU kernels see it.
template <class T>
struct attention_problem : attention_call<T> {
    explicit attention_problem(const attention_call<T>& call, const tensor_view<float, 4>& instead_of_output = {})
        : attention_call<T>(call), unrounded(instead_of_output) {}

    tensor_view<float, 4> unrounded; // where the output goes, if given: that of a part of the keys is rounded later

    // Calls write(row of the output).
    void for_output(index_t sequence, index_t row, index_t head, const auto& write) const {
        if (!unrounded.empty()) {
            write(unrounded.pointer(sequence, row, head));
        } else {
            write(this->output.pointer(sequence, row, head));
        }
    }

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
