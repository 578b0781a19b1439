// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>

#include <unmask/config.hpp>
#include <unmask/cuda/runtime/calls.cuh>
#include <unmask/tensor/device_memory.cuh>

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

// Where a call enqueues its work, and takes scratch memory from: null stands for cudaMallocAsync.
struct work_stream {
    cuda_stream stream = nullptr;
    device_memory_resource* memory = nullptr;
};

// Scratch memory of one call.
class device_scratch {
public:
    device_scratch(const work_stream& work, std::size_t bytes) : work_(work), bytes_(bytes) {
        if (bytes > 0) {
            data_ =
                work.memory != nullptr ? work.memory->allocate(bytes, work.stream) : allocate_async(bytes, work.stream);
        }
    }
    device_scratch(const device_scratch&) = delete;
    device_scratch& operator=(const device_scratch&) = delete;
    ~device_scratch() {
        if (data_ == nullptr) {
            return;
        }
        if (work_.memory != nullptr) {
            work_.memory->deallocate(data_, bytes_, work_.stream);
        } else {
            free_async(data_, work_.stream);
        }
    }

    [[nodiscard]] void* data() const { return data_; }

private:
    work_stream work_;
    std::size_t bytes_;
    void* data_ = nullptr;
};

} // namespace detail::cuda
UNMASK_NAMESPACE_END
