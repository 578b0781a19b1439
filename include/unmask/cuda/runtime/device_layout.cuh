// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>

#include <unmask/config.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

// Puts arrays of all kinds one after the other in one piece of memory. Used twice: without memory, it finds out how
// much there must be.
class device_layout {
public:
    explicit device_layout(void* memory = nullptr) : base_(static_cast<std::byte*>(memory)) {}

    template <class T>
    void operator()(T*& array, index_t count) {
        array = base_ != nullptr ? reinterpret_cast<T*>(base_ + bytes_) : nullptr;
        bytes_ += (static_cast<std::size_t>(count) * sizeof(T) + 255) / 256 * 256;
    }
    [[nodiscard]] std::size_t bytes() const { return bytes_; }

private:
    std::byte* base_;
    std::size_t bytes_ = 0;
};

} // namespace detail::cuda
UNMASK_NAMESPACE_END
