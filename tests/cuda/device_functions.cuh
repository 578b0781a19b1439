// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <cstdint>

#include <unmask/cuda/runtime/device.cuh>

// Kernels that call what kernels ask of a GPU.
namespace test {

using namespace unmask::detail::device;
using unmask::bfloat16;
using unmask::float16;
using unmask::index_t;

struct load_case {
    const std::uint16_t* matrices; // four of 8 × 8
    std::uint32_t* plain;          // lane × 4
    std::uint32_t* transposed;
};
// A warp; 512 bytes of shared memory.
__global__ void load_four_matrices(load_case c) {
    std::byte* const row = shared_memory() + 16 * lane();
    copy_async(row, c.matrices + 8 * lane(), true);
    commit_copies();
    wait_copies<0>();
    warp_barrier();
    std::uint32_t result[4];
    load_matrices(result, row);
    for (int i = 0; i < 4; ++i) {
        c.plain[4 * lane() + i] = result[i];
    }
    load_matrices_transposed(result, row);
    for (int i = 0; i < 4; ++i) {
        c.transposed[4 * lane() + i] = result[i];
    }
}

struct warp_case {
    const float* values; // one a lane
    float* shuffled;     // mask × lane
    std::uint32_t* ballots;
};
__global__ void exchange(warp_case c) {
    for (int mask = 0; mask < 32; ++mask) {
        c.shuffled[32 * mask + lane()] = shuffle_xor(c.values[lane()], mask);
    }
    c.ballots[lane()] = unmask::detail::device::ballot(c.values[lane()] > 16);
}

// Copies source[0], which is 1, and sets it to 2 while the copy is under way.
struct change_case {
    float* source; // 4
    float* got;
};
// 16 bytes of shared memory.
__global__ void change_under_a_copy(change_case c) {
    copy_async(shared_memory(), c.source, true);
    commit_copies();
    c.source[0] = 2;
    wait_copies<0>();
    c.got[0] = *reinterpret_cast<const float*>(shared_memory());
}

// c = a · b of 32 × 16 and 16 × 16 numbers, by two warps. b comes by rows.
struct product_case {
    const std::uint16_t* a;
    const std::uint16_t* b;
    float* c;
};
inline constexpr std::size_t product_shared_bytes = 2 * (32 * 16 + 16 * 16);

// As kernels do it: tiles by asynchronous copies, fragments by load_matrices, a warp for 16 rows.
template <class T, bool right>
__global__ void tile_product(product_case c) {
    constexpr int row_bytes = 32;
    std::byte* const a_tile = shared_memory();
    std::byte* const b_tile = a_tile + 32 * row_bytes;
    copy_async(a_tile + 16 * thread(), c.a + 8 * thread(), true);
    if (warp() == 0) {
        copy_async(b_tile + 16 * lane(), c.b + 8 * lane(), true);
    }
    commit_copies();
    wait_copies<0>();
    barrier();
    std::uint32_t a[4];
    std::uint32_t b[4];
    load_matrices(a, a_tile + (16 * warp() + lane() % 16) * row_bytes + lane() / 16 * 16);
    load_matrices_transposed(b, b_tile + lane() % 16 * row_bytes + lane() / 16 * 16);
    for (int half = 0; half < 2; ++half) {
        float sums[4] = {};
        multiply_add<T>(sums, a, b[2 * half], b[2 * half + 1]);
        for (int i = 0; i < 4; ++i) {
            const int row = 16 * warp() + lane() / 4 + 8 * (i / 2);
            const int column = 8 * half + (right ? 2 * (lane() % 4) + i % 2 : lane() % 4 + 4 * (i % 2));
            c.c[16 * row + column] = sums[i];
        }
    }
}
// What becomes of two floats.
struct float_results {
    std::uint32_t bfloat_pair, half_pair; // a in the lower half
    float exp2, log2, reciprocal;         // of a
};
struct float_case {
    float a, b;
    float_results* results;
};
__global__ void apply_to_floats(float_case c) {
    *c.results = {pack<bfloat16>(c.a, c.b), pack<float16>(c.a, c.b), unmask::detail::device::exp2(c.a),
                  unmask::detail::device::log2(c.a), reciprocal(c.a)};
}

struct word_results {
    std::uint32_t shifted;
    int lowest;
    index_t product;
};
struct word_case {
    std::uint32_t word, by;
    word_results* results;
};
__global__ void apply_to_words(word_case c) {
    *c.results = {shift_left(c.word, c.by), lowest_bit(c.word),
                  product(static_cast<int>(c.word), static_cast<int>(c.by))};
}

} // namespace test
