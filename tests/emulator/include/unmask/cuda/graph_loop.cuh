// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/cuda/executor.cuh>

// unmask/cuda/graph_loop.cuh on the host, which has no graphs.

UNMASK_NAMESPACE_BEGIN
namespace detail::gpu {

template <class Enqueue, class Wait>
bool loop_on_device(const cuda_executor& /*exec*/, const int* /*running*/, const Enqueue& /*enqueue*/,
                    const Wait& /*wait*/) {
    return false;
}

} // namespace detail::gpu
UNMASK_NAMESPACE_END
