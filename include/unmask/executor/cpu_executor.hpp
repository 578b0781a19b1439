// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <exception>
#if defined(_OPENMP)
#include <omp.h>
#endif

#include <unmask/config.hpp>
#include <unmask/executor/executor.hpp>

UNMASK_NAMESPACE_BEGIN

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
