// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>

#include <cuda_runtime_api.h>

#include <unmask/config.hpp>

UNMASK_NAMESPACE_BEGIN

/// The CUDA stream that work is enqueued on.
using cuda_stream = cudaStream_t;

/// Source of the library's scratch memory on the device. Derive from it to hand in a pool of your own (RMM, PyTorch's
/// allocator): memory is used on `stream` alone, between the two calls, and only in the order of the stream.
class device_memory_resource {
public:
    virtual ~device_memory_resource() = default;
    /// At least `bytes` bytes, aligned to 256. Throws if there are none.
    virtual void* allocate(std::size_t bytes, cuda_stream stream) = 0;
    /// Takes back what allocate() returned for `bytes` bytes on `stream`.
    virtual void deallocate(void* memory, std::size_t bytes, cuda_stream stream) noexcept = 0;
};

UNMASK_NAMESPACE_END
