// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <concepts>
#include <cstdint>
#include <type_traits>

#include <unmask/config.hpp>
#include <unmask/cuda/attention/block_state.cuh>
#include <unmask/cuda/attention/kernel_call.cuh>
#include <unmask/cuda/attention/plain_tile.cuh>
#include <unmask/cuda/attention/shared_tile.cuh>
#include <unmask/cuda/attention/tile_list.cuh>
#include <unmask/cuda/runtime/device.cuh>
#include <unmask/mask/mask_policy.hpp>

// Values that are NaN or infinite, in tiles that some rows see whole and others do not. A row that does not see such a
// value multiplies it with a probability of 0, and 0 · NaN is NaN. So they are taken out of partial tiles, and the rows
// that do see them get them at the end: what they add to is NaN or infinite then, whatever it was.

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

UNMASK_DEVICE bool is_finite(float value) {
    return value - value == 0.0F;
}

// A barrier follows before the block's end, which is when this is read.
UNMASK_DEVICE void note_values(bool any, block_unit& unit) {
    if (any && device::thread() == 0) {
        unit.values_taken_out = 1;
    }
}

// Puts 0 in the place of every value of a tile that isn't finite, and notes whether there were any. By all threads;
// ends with a barrier.
template <class T, int Threads, int Rows, int Columns>
UNMASK_DEVICE void take_out_values(const shared_tile<Rows, Columns>& values, block_unit& unit) {
    constexpr std::uint32_t exponent = std::same_as<T, bfloat16> ? 0x7f80 : 0x7c00;
    auto* pairs = reinterpret_cast<std::uint32_t*>(values.data);
    bool found = false;
    UNMASK_NO_UNROLL
    for (int i = device::thread(); i < Rows * Columns / 2; i += Threads) {
        const std::uint32_t pair = pairs[i];
        const bool low = (pair & exponent) == exponent;
        const bool high = (pair >> 16 & exponent) == exponent;
        if (low || high) {
            pairs[i] = pair & (low ? 0xffff0000U : 0xffffffffU) & (high ? 0x0000ffffU : 0xffffffffU);
            found = true;
        }
    }
    note_values(device::barrier_any<Threads>(found), unit);
}

// The same for a tile of the plain kernel.

template <int Threads>
UNMASK_DEVICE void take_out_values(const plain_tile& values, block_unit& unit) {
    bool found = false;
    UNMASK_NO_UNROLL
    for (int i = device::thread(); i < plain_keys * 64; i += Threads) {
        float& value = values.data[i / 64 * plain_stride + i % 64];
        if (!is_finite(value)) {
            value = 0.0F;
            found = true;
        }
    }
    note_values(device::barrier_any<Threads>(found), unit);
}

// Adds what was taken out to the output of every row that sees it: `output(row)` is where columns [begin, end) of row
// `row` of the kv head are, as they have been written by this block. By all threads, after a barrier.
template <int Threads, int Rows, int Keys, class T, mask_policy Mask, class OutputOf>
UNMASK_DEVICE void add_values_taken_out(const kernel_call<T>& call, const Mask& mask,
                                        const block_state<Rows, Keys, Mask>& state, int begin, int end,
                                        const OutputOf& output_of) {
    const block_unit& unit = state.unit();
    const int columns = end - begin;
    const int rows = smaller(unit.rows - unit.first_row, Rows);
    for (int i = device::thread(); i < rows * columns; i += Threads) {
        const int row = i / columns;
        const int column = begin + i % columns;
        const index_t position = call.position_of(unit.first_row + row);
        float sum = 0.0F;
        const auto tiles = state.tiles();
        for (tile at = tiles.before_first(); tiles.next(at);) {
            const int last = smaller(at.begin() + Keys, unit.keys);
            for (int key = at.begin(); at.partial() && key < last; ++key) {
                const auto value = static_cast<float>(call.value.row(unit.sequence, key, unit.kv_head)[column]);
                if (!is_finite(value) && mask.visible(position, key)) {
                    sum += value;
                }
            }
        }
        if (!is_finite(sum)) {
            auto& output = output_of(unit.first_row + row)[column];
            output = static_cast<std::remove_reference_t<decltype(output)>>(static_cast<float>(output) + sum);
        }
    }
}

} // namespace detail::cuda
UNMASK_NAMESPACE_END
