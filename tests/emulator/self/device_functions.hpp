// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <cstdint>

namespace test {

struct load_case {
    const std::uint16_t* matrices; // four of 8 × 8
    std::uint32_t* plain;          // lane × 4
    std::uint32_t* transposed;
};
void load_four_matrices(load_case c); // a warp; 512 bytes of shared memory

struct warp_case {
    const float* values; // one a lane
    float* shuffled;     // mask × lane
    std::uint32_t* ballots;
};
void exchange(warp_case c);

// Copies source[0], which is 1, and sets it to 2 while the copy is under way.
struct change_case {
    float* source; // 4
    float* got;
};
void change_under_a_copy(change_case c); // 16 bytes of shared memory

// c = a · b of 32 × 16 and 16 × 16 numbers, by two warps. b comes by rows.
struct product_case {
    const std::uint16_t* a;
    const std::uint16_t* b;
    float* c;
};
inline constexpr std::size_t product_shared_bytes = 2 * (32 * 16 + 16 * 16);
template <class T, bool right>
void tile_product(product_case c);

} // namespace test
