// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <new>

#include <unmask/config.hpp>
#include <unmask/error.cuh>
#include <unmask/tensor/device_memory.cuh>

#include "../../../../emulator.hpp"
#include "../../../../launch.hpp"

// unmask/cuda/runtime/calls.cuh on the host. There is one stream, and it is always up to date: a launch returns when
// its blocks have ended. Besides cuda_error it throws emulator::fault.

UNMASK_NAMESPACE_BEGIN

namespace detail {

inline void expect_success(int code, const char* call) {
    if (code != 0) {
        throw cuda_error(call, code);
    }
}

struct device_properties {
    int multiprocessors = 0;
    int cache_bytes = 0;
    int shared_bytes_a_block = 0;

    static device_properties current() {
        const emulator::settings& now = emulator::current_settings();
        return {now.multiprocessors, now.cache_bytes, static_cast<int>(now.shared_bytes_a_block)};
    }
};

template <class Parameters>
bool has_tensor_cores(void (*)(Parameters)) {
    return emulator::current_settings().tensor_cores;
}

template <class Parameters>
int resident_blocks(const device_properties& gpu, void (*)(Parameters), int threads, std::size_t shared_bytes) {
    return shared_bytes > static_cast<std::size_t>(gpu.shared_bytes_a_block)
               ? 0
               : emulator::resident_blocks({1, threads, shared_bytes});
}

template <class Parameters>
void launch(void (*kernel)(Parameters), int blocks, int threads, std::size_t shared_bytes, cuda_stream,
            const Parameters& parameters) {
    if (blocks == 0) {
        return;
    }
    const emulator::grid size{blocks, threads, shared_bytes};
    expect_success(emulator::is_possible(size) ? 0 : 1, "a kernel's launch"); // cudaErrorInvalidValue
    emulator::launch(size, [&] { kernel(parameters); });
}

inline void copy_to_device(void* to, const void* from, std::size_t bytes, cuda_stream) {
    emulator::copy_to_device(to, from, bytes);
}
inline void copy_to_host(void* to, const void* from, std::size_t bytes, cuda_stream) {
    emulator::copy_to_host(to, from, bytes);
}
inline void synchronize(cuda_stream) {}
inline bool is_done(cuda_stream) {
    return true;
}

inline void* allocate_mapped(std::size_t bytes) {
    return ::operator new(bytes);
}
inline void free_mapped(void* memory) noexcept {
    ::operator delete(memory);
}

inline void* allocate_async(std::size_t bytes, cuda_stream) {
    void* const memory = emulator::allocate(bytes);
    expect_success(memory != nullptr ? 0 : 2, "cudaMallocAsync"); // cudaErrorMemoryAllocation
    return memory;
}
inline void free_async(void* memory, cuda_stream) noexcept {
    emulator::release(memory);
}

} // namespace detail
UNMASK_NAMESPACE_END
