// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <span>

#include <unmask/cpu/simd.hpp>
#include <unmask/executor/cpu_executor.hpp>

#include "shape.hpp"

namespace bench {

namespace detail {

// Adds up floats in so many registers that only memory is waited for.
[[gnu::noinline]] inline void read(std::span<const float> data) {
    constexpr std::size_t registers = 8;
    constexpr std::size_t step = registers * unmask::detail::lanes;
    unmask::detail::vfloat sums[registers]{};
    for (std::size_t i = 0; i + step <= data.size(); i += step) {
#pragma GCC unroll 8
        for (std::size_t r = 0; r < registers; ++r) {
            sums[r] += unmask::detail::load(data.data() + i + r * unmask::detail::lanes);
        }
    }
    for (unmask::detail::vfloat& sum : sums) {
        asm volatile("" : : "v"(sum));
    }
}

} // namespace detail

/// `threads` threads read this memory, each its own part.
inline void read_once(int threads, std::span<const float> data) {
    const std::size_t part = data.size() / static_cast<std::size_t>(threads);
    unmask::cpu_executor{threads}.parallel_for(
        threads, [&](index_t task, int) { detail::read(data.subspan(static_cast<std::size_t>(task) * part, part)); });
}

} // namespace bench
