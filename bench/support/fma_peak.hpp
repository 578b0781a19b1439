// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <numeric>
#include <vector>

#include <unmask/cpu/simd.hpp>
#include <unmask/executor/cpu_executor.hpp>

#include "shape.hpp"

namespace bench {

namespace detail {

inline constexpr int fma_chains = 12; // enough to hide the latency, and they fit into 16 registers

// Not inlined: around a loop that is, the compiler may keep the sums in memory.
[[gnu::noinline]] inline void multiply_and_add(int steps) {
    const unmask::detail::vfloat factor = unmask::detail::vfloat{} + 0.999F;
    unmask::detail::vfloat sums[fma_chains]{};
    for (int step = 0; step < steps; ++step) {
#pragma GCC unroll 12
        for (unmask::detail::vfloat& sum : sums) {
            sum = sum * factor + factor;
            asm volatile("" : "+v"(sum)); // or the compiler works the chain out beforehand
        }
    }
}

} // namespace detail

/// Float operations a second of `threads` threads that only multiply and add in registers, all at once: what attention
/// is compared with. Of every thread the best of 5 rounds of about half a millisecond counts, so that a round in which
/// something else had its core does not.
inline double fma_peak(int threads) {
    constexpr int steps = 160'000;
    constexpr double flops = 2.0 * unmask::detail::lanes * detail::fma_chains * steps;
    std::vector<double> best(static_cast<std::size_t>(threads));
    for (int round = 0; round < 5; ++round) {
        unmask::cpu_executor{threads}.parallel_for(threads, [&](index_t task, int) {
            const auto begin = std::chrono::steady_clock::now();
            detail::multiply_and_add(steps);
            const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
            double& most = best[static_cast<std::size_t>(task)];
            most = std::max(most, flops / seconds.count());
        });
    }
    return std::accumulate(best.begin(), best.end(), 0.0);
}

} // namespace bench
