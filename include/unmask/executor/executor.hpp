// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <concepts>
#include <type_traits>

#include <unmask/config.hpp>

UNMASK_NAMESPACE_BEGIN

/// The GPU. Defined in executor/cuda_executor.cuh, which needs nvcc.
struct cuda_executor;

namespace detail {

// The body that the concept below asks with: not a lambda, which nvcc does not take there.
struct any_task {
    void operator()(index_t /*task*/, int /*worker*/) const {}
};

template <class Executor>
inline constexpr bool runs_on_cuda = std::is_base_of_v<cuda_executor, Executor>;

} // namespace detail

/// An executor of the host: the threads that run the tasks of a call. cpu_executor is one; a thread pool of your own
/// becomes one with two members:
///
///   1. `parallel_for(tasks, body)` calls body(task, worker) once for every task of [0, tasks), in any order, on any
///      threads, and returns when all calls have ended. worker is in [0, workers()), and no two calls that run at the
///      same time have the same one: it numbers scratch memory. What a call throws is thrown again at the end.
///   2. `workers()`, at least 1, the same for as long as a call of the library lasts.
///
/// Results do not depend on either, to the last bit: attention, the sampler and the analysis give on any host executor
/// what they give on cpu_executor. `examples/thread_pool.cpp` has one.
///
/// An executor of another kind, such as another accelerator, specialises attention_backend and sampler_backend.
template <class E>
concept host_executor = requires(const E& exec, index_t tasks) {
    { exec.workers() } -> std::convertible_to<int>;
    exec.parallel_for(tasks, detail::any_task{});
};

UNMASK_NAMESPACE_END
