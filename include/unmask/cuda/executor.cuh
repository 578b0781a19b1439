// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>

#include <unmask/config.hpp>
#include <unmask/cuda/runtime.cuh>

UNMASK_NAMESPACE_BEGIN

/// Where the library gets device memory from. Derive from it to hand in a pool of your own (RMM, PyTorch's allocator):
/// memory is used on `stream` alone, between the two calls, and only in the order of the stream.
class device_memory_resource {
public:
    virtual ~device_memory_resource() = default;
    /// At least `bytes` bytes, aligned to 256. Throws if there are none.
    virtual void* allocate(std::size_t bytes, cuda_stream stream) = 0;
    virtual void deallocate(void* memory, std::size_t bytes, cuda_stream stream) noexcept = 0;
};

/// The head dimensions that kernels for tensor cores are compiled for, in rising order. Others are rounded up to the next.
template <int... HeadDims>
struct head_dims {};

/// Runs on the current CUDA device. Calls enqueue their work on `stream` and return without waiting for it; nothing is
/// read from or written to the tensors before the stream gets there. Every call can be captured in a CUDA graph. (CUDA
/// loads a kernel at its first call: make that one before you capture.)
///
/// Scratch memory, where a call needs any, comes from `memory`, in the order of the stream; null stands for
/// cudaMallocAsync and cudaFreeAsync. Tensors, and what masks and sinks point to, lie in memory that the device can read.
/// Throws cuda_error, with the call's name, if CUDA reports one.
struct cuda_executor {
    using kernels = head_dims<32, 64, 96, 128, 192, 256>;

    cuda_stream stream = nullptr;
    device_memory_resource* memory = nullptr;
};

/// A cuda_executor for programs that know their head dimensions: it compiles kernels for these alone, and so in a fraction
/// of the time. Larger head dimensions run without tensor cores.
template <int... HeadDims>
struct cuda_executor_for : cuda_executor {
    using kernels = head_dims<HeadDims...>;

    explicit cuda_executor_for(cuda_stream on = nullptr, device_memory_resource* from = nullptr)
        : cuda_executor{on, from} {}
};

namespace detail {

// Scratch memory of one call.
class device_scratch {
public:
    device_scratch(const cuda_executor& exec, std::size_t bytes) : exec_(exec), bytes_(bytes) {
        if (bytes > 0) {
            data_ =
                exec.memory != nullptr ? exec.memory->allocate(bytes, exec.stream) : allocate_async(bytes, exec.stream);
        }
    }
    device_scratch(const device_scratch&) = delete;
    device_scratch& operator=(const device_scratch&) = delete;
    ~device_scratch() {
        if (data_ == nullptr) {
            return;
        }
        if (exec_.memory != nullptr) {
            exec_.memory->deallocate(data_, bytes_, exec_.stream);
        } else {
            free_async(data_, exec_.stream);
        }
    }

    [[nodiscard]] void* data() const { return data_; }

private:
    cuda_executor exec_;
    std::size_t bytes_;
    void* data_ = nullptr;
};

} // namespace detail
UNMASK_NAMESPACE_END
