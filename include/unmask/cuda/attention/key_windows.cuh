// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstdint>
#include <utility>

#include <unmask/config.hpp>
#include <unmask/cuda/attention/kernel_call.cuh>
#include <unmask/cuda/runtime/device.cuh>
#include <unmask/mask/mask_policy.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

// How many ranges of keys a row of the mask has; 0 if the mask can't list them.
template <mask_policy Mask>
constexpr int window_count() {
    if constexpr (row_mask_policy<Mask>) {
        return decltype(std::declval<const Mask&>().row(index_t{}, index_t{}))::capacity;
    } else {
        return 0;
    }
}

// The keys that each row of a block sees, as ranges in shared memory: the mask is asked once a row, and every partial
// tile makes bits of what it said. [windows][Rows] pairs of begin and end.
template <int Rows, mask_policy Mask>
struct key_windows {
    static constexpr int count = window_count<Mask>();
    static constexpr int bytes = count * Rows * 2 * static_cast<int>(sizeof(int));

    int* data;

    // By the thread that has this row. One that does not exist sees nothing.
    UNMASK_DEVICE void set(const Mask& mask, int row, bool exists, index_t position, int keys) const {
        if constexpr (count > 0) {
            const auto seen = mask.row(position, keys);
            unrolled<count>([&](int i) {
                const range window = exists ? seen.at(i) : range{};
                data[(i * Rows + row) * 2] = static_cast<int>(window.begin);
                data[(i * Rows + row) * 2 + 1] = static_cast<int>(window.end);
            });
        }
    }

    // Bit i: the row sees key begin + i.
    UNMASK_DEVICE std::uint32_t word(int row, int begin) const {
        std::uint32_t word = 0;
        UNMASK_UNROLL
        for (int i = 0; i < count; ++i) {
            const int first = data[(i * Rows + row) * 2] - begin;
            const int last = data[(i * Rows + row) * 2 + 1] - begin;
            word |= ones_from(first) & ~ones_from(last);
        }
        return word;
    }

private:
    UNMASK_DEVICE static std::uint32_t ones_from(int bit) {
        return device::shift_left(0xffffffffU, static_cast<std::uint32_t>(larger(bit, 0)));
    }
};

} // namespace detail::cuda
UNMASK_NAMESPACE_END
