// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <atomic>
#include <stdexcept>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <unmask/executor/cpu_executor.hpp>
#include <unmask/executor/executor.hpp>

using namespace unmask;

namespace {

struct without_workers {
    template <class Body>
    void parallel_for(index_t, Body&&) const {}
};
struct without_parallel_for {
    [[nodiscard]] static int workers() { return 1; }
};
struct whose_body_takes_no_worker {
    [[nodiscard]] static int workers() { return 1; }
    static void parallel_for(index_t, void (*)(index_t)) {}
};
static_assert(host_executor<cpu_executor>);
static_assert(!host_executor<int> && !host_executor<cuda_executor>);
static_assert(!host_executor<without_workers> && !host_executor<without_parallel_for> &&
              !host_executor<whose_body_takes_no_worker>);

} // namespace

TEST_CASE("cpu_executor runs every task once, as one of its workers") {
    for (const int threads : {0, 1, 3, 16}) {
        const cpu_executor exec{threads};
        REQUIRE(exec.workers() >= 1);
        for (const index_t tasks : {0, 1, 2, 100}) {
            std::vector<std::atomic<int>> runs(static_cast<std::size_t>(tasks));
            std::atomic<int> strangers = 0;
            exec.parallel_for(tasks, [&](index_t task, int worker) {
                ++runs[static_cast<std::size_t>(task)];
                strangers += worker >= 0 && worker < exec.workers() ? 0 : 1;
            });
            CAPTURE(threads);
            CAPTURE(tasks);
            CHECK(strangers == 0);
            int wrong = 0;
            for (const std::atomic<int>& each : runs) {
                wrong += each == 1 ? 0 : 1;
            }
            CHECK(wrong == 0);
        }
    }
}

TEST_CASE("what a task throws is thrown again") {
    for (const int threads : {1, 3}) {
        const auto run = [&] {
            cpu_executor{threads}.parallel_for(20, [](index_t task, int) {
                if (task == 7) {
                    throw std::runtime_error("task 7");
                }
            });
        };
        CHECK_THROWS_WITH_AS(run(), "task 7", std::runtime_error);
    }
}
