// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstdint>

#include <unmask/config.hpp>
#include <unmask/executor/executor.hpp>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/detail/host/sampling_run.hpp>
#include <unmask/sampler/statistics.hpp>

UNMASK_NAMESPACE_BEGIN

/// Where a sampler runs for an executor: the place to add an executor of another kind than the library's. Specialise
/// it, with a static member as below, which gets the policies of a sampler by kind, defaults included.
template <class Executor>
struct sampler_backend;

/// The loop on the host, whose work on logits runs on any host executor.
template <host_executor Executor>
struct sampler_backend<Executor> {
    /// Fills the canvas; if it throws, the canvas is as it was.
    template <class Model, class Policies, class Observer>
    static statistics run(const Executor& exec, Model& model, canvas& page, std::uint64_t seed,
                          const Policies& policies, Observer& observer) {
        return detail::sampling_run<Executor, Model, Policies, Observer>(exec, model, page, seed, policies, observer)();
    }
};

/// An executor that samplers run on: one with a sampler_backend.
template <class Executor>
concept sampler_executor = requires { sizeof(sampler_backend<Executor>); };

namespace detail {

// Whether the sampler runs on an executor; if not, says what is missing.
template <class Executor>
constexpr bool check_sampler_executor() {
    constexpr bool runs = sampler_executor<Executor>;
    if constexpr (!runs_on_cuda<Executor>) {
        static_assert(runs,
                      "unmask: the first argument must be an executor: cuda_executor, cpu_executor, or your own with "
                      "workers() and parallel_for(tasks, body)");
    } else if constexpr (requires { sizeof(Executor); }) {
        static_assert(runs, "unmask: the sampler on cuda_executor needs #include <unmask/sampler/sampler.cuh>");
    } else {
        static_assert(runs, "unmask: cuda_executor needs nvcc: include <unmask/unmask.cuh> in a .cu file");
    }
    return runs;
}

} // namespace detail
UNMASK_NAMESPACE_END
