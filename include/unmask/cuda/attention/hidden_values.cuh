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

// Notes that a warp has found such values; by all its lanes. Each warp has a place of its own.
template <class Unit>
UNMASK_DEVICE void note_values(bool found, Unit& unit) {
    if (device::ballot(found) != 0 && device::lane() == 0) {
        unit.values_taken_out[device::warp()] = 1;
    }
}

// Whether any warp has, after a barrier.
template <int Threads, class Unit>
UNMASK_DEVICE bool values_taken_out(const Unit& unit) {
    int any = 0;
    for (int warp = 0; warp < Threads / device::warp_size; ++warp) {
        any |= unit.values_taken_out[warp];
    }
    return any != 0;
}

// A sign's bit for each half of a pair that isn't finite: its exponent is all ones, so that the lowest of these, added
// once more, is carried there.
template <class T>
UNMASK_DEVICE std::uint32_t infinite_halves(std::uint32_t pair) {
    constexpr std::uint32_t exponents = std::same_as<T, bfloat16> ? 0x7f807f80 : 0x7c007c00;
    constexpr std::uint32_t lowest = std::same_as<T, bfloat16> ? 0x00800080 : 0x04000400;
    return ((pair & exponents) + lowest) & 0x80008000U;
}

// Whether any value of a tile isn't finite. By all lanes of a warp.
template <class T, int Rows, int Columns>
UNMASK_DEVICE bool has_infinite(const shared_tile<Rows, Columns>& values) {
    const auto* pairs = reinterpret_cast<const std::uint32_t*>(values.data);
    std::uint32_t found = 0;
    UNMASK_NO_UNROLL
    for (int i = device::lane(); i < Rows * Columns / 2; i += device::warp_size) {
        found |= infinite_halves<T>(pairs[i]);
    }
    return device::ballot(found != 0) != 0;
}

// Puts 0 in the place of every value of a tile that isn't finite, and notes whether there were any. By all threads;
// ends with a barrier.
template <class T, int Threads, int Rows, int Columns, class Unit>
UNMASK_DEVICE void take_out_values(const shared_tile<Rows, Columns>& values, Unit& unit) {
    struct alignas(16) four_pairs {
        std::uint32_t pairs[4];
    };
    const auto signs = [](std::uint32_t pair) { return infinite_halves<T>(pair); };
    auto* all = reinterpret_cast<four_pairs*>(values.data);
    bool found = false;
    UNMASK_NO_UNROLL
    for (int i = device::thread(); i < Rows * Columns / 8; i += Threads) {
        const auto [a, b, c, d] = all[i].pairs;
        if ((signs(a) | signs(b) | signs(c) | signs(d)) != 0) {
            for (std::uint32_t& pair : all[i].pairs) {
                pair &= ~((signs(pair) >> 15) * 0xffffU);
            }
            found = true;
        }
    }
    note_values(found, unit);
    device::barrier();
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
    note_values(found, unit);
    device::barrier();
}

// Adds what was taken out to the output of every row that sees it: `output_of(row)` is where a row of the kv head has
// been written by this block, in columns [begin, end). By all threads, after a barrier.
template <int Threads, int Rows, int Keys, class T, mask_policy Mask, class OutputOf>
UNMASK_DEVICE void add_values_taken_out(const kernel_call<T>& call, const Mask& mask,
                                        const block_state<Rows, Keys>& state, int begin, int end,
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
