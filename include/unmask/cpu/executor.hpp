// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <concepts>
#include <exception>
#if defined(_OPENMP)
#include <omp.h>
#endif

#include <unmask/config.hpp>

UNMASK_NAMESPACE_BEGIN

namespace detail {
// What the concept below asks with: not a lambda, which nvcc does not take there.
struct any_task {
    void operator()(index_t /*task*/, int /*worker*/) const {}
};
} // namespace detail

/// An executor of the host: who runs the tasks of a call. cpu_executor is one; a thread pool of your own becomes one
/// with two members:
///
///   1. `parallel_for(tasks, body)` calls body(task, worker) once for every task of [0, tasks), in any order, on any
///      threads, and returns when all calls have ended. worker is in [0, workers()), and no two calls that run at the
///      same time have the same one: it numbers scratch memory. What a call throws is thrown again at the end.
///   2. `workers()`, at least 1, the same for as long as a call of the library lasts.
///
/// Results do not depend on either, to the last bit. `examples/thread_pool.cpp` has one.
template <class E>
concept host_executor = requires(const E& exec, index_t tasks) {
    { exec.workers() } -> std::convertible_to<int>;
    exec.parallel_for(tasks, detail::any_task{});
};

/// Runs work on the host's cores: with OpenMP where the including project compiles with it, otherwise on the calling
/// thread.
///
/// Safe to use from many threads at once; calls return when their work is done.
struct cpu_executor {
    int threads = 0; ///< how many to use; 0 means all that OpenMP offers

    /// The number of workers that `parallel_for` uses: at least 1.
    [[nodiscard]] int workers() const {
#if defined(_OPENMP)
        return threads > 0 ? threads : omp_get_max_threads();
#else
        return 1;
#endif
    }

    /// Calls body(task, worker) once for every task of [0, tasks), tasks in any order, at most one at a time for each
    /// worker of [0, workers()). The first exception that a task throws is thrown again when all have ended.
    template <class Body>
    void parallel_for(index_t tasks, Body&& body) const {
#if defined(_OPENMP)
        if (const int team = static_cast<int>(std::min<index_t>(workers(), tasks)); team > 1) {
            std::exception_ptr failure;
#pragma omp parallel for schedule(dynamic) num_threads(team)
            for (index_t task = 0; task < tasks; ++task) {
                try {
                    body(task, omp_get_thread_num());
                } catch (...) {
#pragma omp critical(unmask_cpu_executor)
                    if (!failure) {
                        failure = std::current_exception();
                    }
                }
            }
            if (failure) {
                std::rethrow_exception(failure);
            }
            return;
        }
#endif
        for (index_t task = 0; task < tasks; ++task) {
            body(task, 0);
        }
    }
};
static_assert(host_executor<cpu_executor>);

UNMASK_NAMESPACE_END
