// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/cuda/runtime/work_stream.cuh>

// unmask/cuda/runtime/graph_loop.cuh on the host, which has no graphs.

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

template <class Enqueue, class Wait>
bool loop_on_device(const work_stream& /*work*/, const int* /*running*/, const Enqueue& /*enqueue*/,
                    const Wait& /*wait*/) {
    return false;
}

} // namespace detail::cuda
UNMASK_NAMESPACE_END
