// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/cuda/runtime/work_stream.cuh>

// unmask/cuda/runtime/graph_loop.cuh on the host, which has no graphs.

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

class graph_loop {
public:
    template <class Enqueue>
    bool record(const int* /*running*/, device_memory_resource* /*memory*/, const Enqueue& /*enqueue*/) {
        return false;
    }
    [[nodiscard]] bool is_recorded() const { return false; }
    void run(cuda_stream /*stream*/) const {}
};

} // namespace detail::cuda
UNMASK_NAMESPACE_END
