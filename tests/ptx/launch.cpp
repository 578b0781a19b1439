// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "launch.hpp"

#include <algorithm>
#include <atomic>
#include <cinttypes>
#include <cstdio>
#include <exception>
#include <mutex>
#include <numeric>
#include <random>
#include <thread>

#include "block_runner.hpp"
#include "state.hpp"

namespace ptx {

std::string hexadecimal(std::uint64_t value) {
    char text[32];
    std::snprintf(text, sizeof text, "0x%" PRIx64, value);
    return text;
}

void warp::fail(fault_kind kind, const instruction& i, int lane, const std::string& what) const {
    const kernel_launch& launch = *block->launch;
    const statement& s = kernel->source.statements[static_cast<std::size_t>(i.number)];
    const auto triple = [](unsigned x, unsigned y, unsigned z) {
        return "(" + std::to_string(x) + ", " + std::to_string(y) + ", " + std::to_string(z) + ")";
    };
    throw fault(kind,
                what + "\n  by thread " + std::to_string(index * lanes + lane) + " (warp " + std::to_string(index) +
                    ", lane " + std::to_string(lane) + ") of block " + triple(block->x, block->y, block->z) + " of " +
                    triple(launch.grid.x, launch.grid.y, launch.grid.z) + "\n  at PTX line " + std::to_string(s.line) +
                    (s.source.empty() ? "" : " (" + s.source + ")") + ": " + s.text + "\n  in " + kernel->name);
}

void run_kernel(const kernel_launch& launch) {
    static std::atomic<unsigned> launches = 0;
    const unsigned seed = launch.how.seed * 1000003U + launches++;
    const auto table = device_memory::get().snapshot();
    std::vector<std::uint64_t> order(launch.grid.all());
    std::iota(order.begin(), order.end(), 0);
    if (!launch.how.in_order) {
        std::mt19937 random(seed);
        std::shuffle(order.begin(), order.end(), random);
    }
    std::atomic<std::size_t> next = 0;
    std::mutex mutex;
    std::exception_ptr failure;
    const auto work = [&] {
        try {
            block_runner runner(launch, *table);
            for (std::size_t n = next++; n < order.size(); n = next++) {
                runner.run(order[n], seed);
            }
            count(runner.counted());
        } catch (...) {
            next = order.size();
            const std::lock_guard lock(mutex);
            failure = std::current_exception();
        }
    };
    std::vector<std::thread> others;
    for (int n = 1; n < launch.how.threads && static_cast<std::size_t>(n) < order.size(); ++n) {
        others.emplace_back(work);
    }
    work();
    for (std::thread& each : others) {
        each.join();
    }
    if (failure) {
        std::rethrow_exception(failure);
    }
}

} // namespace ptx
