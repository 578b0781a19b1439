// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <random>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/executor/executor.hpp>

// Executors as a user writes them, on which results must be those of cpu_executor.

namespace test {

using unmask::index_t;

// Runs the tasks one after the other on the calling thread, in an order that the seed shuffles, each as any of the
// workers.
struct shuffled_executor {
    unsigned seed;
    int team;

    [[nodiscard]] int workers() const { return team; }
    template <class Body>
    void parallel_for(index_t tasks, Body&& body) const {
        std::mt19937 random(seed);
        std::vector<index_t> order(static_cast<std::size_t>(tasks));
        std::iota(order.begin(), order.end(), index_t{0});
        std::shuffle(order.begin(), order.end(), random);
        for (const index_t task : order) {
            body(task, static_cast<int>(random() % static_cast<unsigned>(team)));
        }
    }
};
static_assert(unmask::host_executor<shuffled_executor>);

// Runs them in order as one worker, and counts.
struct counting_executor {
    struct counts {
        index_t calls = 0;
        index_t tasks = 0;
    };
    counts* counted;

    [[nodiscard]] static int workers() { return 1; }
    template <class Body>
    void parallel_for(index_t tasks, Body&& body) const {
        ++counted->calls;
        counted->tasks += tasks;
        for (index_t task = 0; task < tasks; ++task) {
            body(task, 0);
        }
    }
};
static_assert(unmask::host_executor<counting_executor>);

} // namespace test
