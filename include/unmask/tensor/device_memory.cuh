// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>

#include <cuda_runtime_api.h>

#include <unmask/config.hpp>

UNMASK_NAMESPACE_BEGIN

/// The CUDA stream that work is enqueued on.
using cuda_stream = cudaStream_t;

/// The source of the library's scratch memory on the device. Derive from it to use a pool of your own (RMM, PyTorch's
/// allocator). Memory is only used by work enqueued on `stream` between the calls of allocate and deallocate. If that
/// work is captured, it runs later: see keeps_captured_memory().
class device_memory_resource {
public:
    /// Virtual, for derived classes.
    virtual ~device_memory_resource() = default;
    /// Returns at least `bytes` bytes, aligned to 256. Throws if it can't.
    virtual void* allocate(std::size_t bytes, cuda_stream stream) = 0;
    /// Takes back memory that allocate() returned for the same `bytes` and `stream`.
    virtual void deallocate(void* memory, std::size_t bytes, cuda_stream stream) noexcept = 0;
    /// Whether memory that it gave for a stream under capture is given to nobody else for as long as the graph may run,
    /// and is no part of the graph. A resource that can't say so is refused under capture. caching_memory_resource is
    /// one that can.
    [[nodiscard]] virtual bool keeps_captured_memory() const noexcept { return false; }
};

UNMASK_NAMESPACE_END
