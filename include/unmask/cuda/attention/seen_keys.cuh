// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstdint>

#include <unmask/config.hpp>
#include <unmask/cuda/attention/kernel_call.cuh>
#include <unmask/cuda/runtime/device.cuh>
#include <unmask/mask/mask_policy.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

// The bits from `bit` on, which may be anywhere.
UNMASK_DEVICE std::uint32_t ones_from(index_t bit) {
    return device::shift_left(0xffffffffU, static_cast<std::uint32_t>(larger(smaller(bit, 32), 0)));
}

// Bit i: the query at `position` sees key first + i, which is one of `keys`.
template <mask_policy Mask>
UNMASK_DEVICE std::uint32_t seen_of(const Mask& mask, index_t position, int first, int keys) {
    std::uint32_t seen = 0;
    if constexpr (row_mask_policy<Mask>) {
        const auto row = mask.row(position, keys);
        unrolled<decltype(row)::capacity>(
            [&](int i) { seen |= ones_from(row.at(i).begin - first) & ~ones_from(row.at(i).end - first); });
    } else {
        UNMASK_NO_UNROLL
        for (int i = 0; i < smaller(32, keys - first); ++i) {
            seen |= mask.visible(position, first + i) ? 1U << i : 0U;
        }
    }
    return seen;
}

// Which keys of a partial tile the rows of a block see, in shared memory: Keys / 32 words of bits a row. They take the
// same room whatever the mask, which is asked before there are scores: then there are registers for that.
template <int Rows, int Keys>
struct seen_keys {
    static constexpr int words = Keys / 32;
    static constexpr int bytes = words * Rows * static_cast<int>(sizeof(std::uint32_t));

    std::uint32_t* data; // [words][Rows]

    // Of the tile whose keys begin at first_key. Row r exists if r < rows, and is at position_of(r). By all threads of
    // the block; a barrier must follow.
    template <int Threads, mask_policy Mask, class PositionOf>
    UNMASK_DEVICE void set(const Mask& mask, int rows, const PositionOf& position_of, int first_key, int keys) const {
        static_assert(Keys % 32 == 0 && Threads % Rows == 0);
        const int row = device::thread() % Rows;
        for (int word = device::thread() / Rows; word < words; word += Threads / Rows) {
            data[word * Rows + row] = row < rows ? seen_of(mask, position_of(row), first_key + word * 32, keys) : 0;
        }
    }

    // Bit i: the row sees key 32 · word + i of the tile.
    UNMASK_DEVICE std::uint32_t word(int row, int word) const { return data[word * Rows + row]; }
};

} // namespace detail::cuda
UNMASK_NAMESPACE_END
