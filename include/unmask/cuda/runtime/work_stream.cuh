// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>

#include <unmask/config.hpp>
#include <unmask/cuda/runtime/calls.cuh>
#include <unmask/error.hpp>
#include <unmask/tensor/device_memory.cuh>

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

// Where a call enqueues its work, and takes scratch memory from: null stands for cudaMallocAsync.
struct work_stream {
    cuda_stream stream = nullptr;
    device_memory_resource* memory = nullptr;

    [[nodiscard]] void* allocate(std::size_t bytes) const {
        return memory != nullptr ? memory->allocate(bytes, stream) : allocate_async(bytes, stream);
    }
    void deallocate(void* data, std::size_t bytes) const noexcept {
        memory != nullptr ? memory->deallocate(data, bytes, stream) : free_async(data, stream);
    }
};

// Scratch memory of one call.
class device_scratch {
public:
    device_scratch(const work_stream& work, std::size_t bytes) : work_(work), bytes_(bytes) {
        if (bytes > 0) {
            check_capture();
            data_ = work.allocate(bytes);
        }
    }
    device_scratch(const device_scratch&) = delete;
    device_scratch& operator=(const device_scratch&) = delete;
    ~device_scratch() {
        if (data_ != nullptr) {
            work_.deallocate(data_, bytes_);
        }
    }

    [[nodiscard]] void* data() const { return data_; }

private:
    void check_capture() const {
        if (work_.memory != nullptr && !work_.memory->keeps_captured_memory() && capture_of(work_.stream) != 0) {
            throw invalid_argument("cuda_executor", "memory",
                                   "a resource that may give memory away which a captured call still uses",
                                   "one that keeps_captured_memory(), as caching_memory_resource does");
        }
    }

    work_stream work_;
    std::size_t bytes_;
    void* data_ = nullptr;
};

} // namespace detail::cuda
UNMASK_NAMESPACE_END
