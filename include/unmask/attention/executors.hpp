// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <type_traits>

#include <unmask/config.hpp>
#include <unmask/cpu/executor.hpp>

UNMASK_NAMESPACE_BEGIN

/// The GPU. Defined in unmask.cuh, which needs nvcc.
struct cuda_executor;

namespace detail {

template <class Executor>
inline constexpr bool runs_on_cuda = std::is_base_of_v<cuda_executor, Executor>;

template <class Executor>
constexpr void check_executor() {
    if constexpr (runs_on_cuda<Executor>) {
        static_assert(
            requires { sizeof(Executor); },
            "unmask: cuda_executor needs nvcc: include <unmask/unmask.cuh> in a .cu file");
    } else {
        static_assert(host_executor<Executor>,
                      "unmask: the first argument must be an executor: cuda_executor, cpu_executor, or your own with "
                      "workers() and parallel_for(tasks, body)");
    }
}

} // namespace detail
UNMASK_NAMESPACE_END
