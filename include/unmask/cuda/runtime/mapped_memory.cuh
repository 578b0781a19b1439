// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>

#include <unmask/config.hpp>
#include <unmask/cuda/runtime/calls.cuh>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// Memory of the host that kernels write to as well, while the host reads it.
class mapped_memory {
public:
    explicit mapped_memory(std::size_t bytes) : data_(bytes > 0 ? allocate_mapped(bytes) : nullptr) {}
    mapped_memory(const mapped_memory&) = delete;
    mapped_memory& operator=(const mapped_memory&) = delete;
    ~mapped_memory() {
        if (data_ != nullptr) {
            free_mapped(data_);
        }
    }

    [[nodiscard]] void* data() const { return data_; }

private:
    void* data_;
};

} // namespace detail
UNMASK_NAMESPACE_END
