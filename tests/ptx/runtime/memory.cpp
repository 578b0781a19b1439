// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <cstring>

#include <cuda_runtime_api.h>

#include "../device_memory.hpp"
#include "errors.hpp"
#include "streams.hpp"

// Memory, copies and fills.
namespace ptx {
namespace {

device_memory& memory() {
    return device_memory::get();
}

// Where the machine reaches memory that a copy names, the device's or the host's; null: it leaves its allocation.
char* reach(const void* address, std::size_t bytes) {
    char* const found = memory().reach(address, bytes);
    return found != nullptr || memory().is_device(address) ? found : static_cast<char*>(const_cast<void*>(address));
}

void copy_now(void* to, const void* from, std::size_t bytes) {
    char* const target = reach(to, bytes);
    const char* const source = reach(from, bytes);
    if (has_faulted()) {
        return;
    }
    if (target == nullptr || source == nullptr) {
        report(fault(fault_kind::address, "a copy of memory that was freed before"));
        return;
    }
    std::memmove(target, source, bytes);
}
void fill_now(void* to, int value, std::size_t bytes) {
    char* const target = reach(to, bytes);
    if (has_faulted()) {
        return;
    }
    if (target == nullptr) {
        report(fault(fault_kind::address, "a fill of memory that was freed before"));
        return;
    }
    std::memset(target, value, bytes);
}

cudaError_t allocate_mapped(void** address, std::size_t bytes) {
    if (is_forbidden_by_capture()) {
        return failed(cudaErrorStreamCaptureUnsupported);
    }
    *address = memory().allocate_mapped(bytes);
    return *address != nullptr ? done() : failed(cudaErrorMemoryAllocation);
}

cudaError_t free_now(void* address) {
    if (address == nullptr) {
        return cudaSuccess;
    }
    if (is_forbidden_by_capture()) {
        return failed(cudaErrorStreamCaptureUnsupported);
    }
    (void)cudaDeviceSynchronize();
    return memory().release(address) ? done() : failed(cudaErrorInvalidValue);
}

} // namespace
} // namespace ptx

extern "C" {

cudaError_t cudaMalloc(void** address, std::size_t bytes) {
    *address = nullptr;
    if (ptx::is_forbidden_by_capture()) {
        return ptx::failed(cudaErrorStreamCaptureUnsupported);
    }
    *address = bytes > 0 ? ptx::memory().allocate(bytes) : nullptr;
    return *address != nullptr || bytes == 0 ? ptx::done() : ptx::failed(cudaErrorMemoryAllocation);
}
cudaError_t cudaFree(void* address) {
    return ptx::free_now(address);
}
cudaError_t cudaHostAlloc(void** address, std::size_t bytes, unsigned /*flags*/) {
    return ptx::allocate_mapped(address, bytes);
}
cudaError_t cudaFreeHost(void* address) {
    return ptx::free_now(address);
}
cudaError_t cudaMallocManaged(void** address, std::size_t bytes, unsigned /*flags*/) {
    return ptx::allocate_mapped(address, bytes);
}

// The address is there at once. In a graph, it is the same in every launch.
cudaError_t cudaMallocAsync(void** address, std::size_t bytes, cudaStream_t stream) {
    *address = nullptr;
    CUstream_st* const own = ptx::find_stream(stream);
    if (own == nullptr) {
        return ptx::failed(cudaErrorInvalidResourceHandle);
    }
    if (own->capture != nullptr && own->capture->is_body) {
        return ptx::invalidate_capture(own, cudaErrorNotSupported);
    }
    if (bytes == 0) {
        return ptx::failed(cudaErrorInvalidValue);
    }
    void* const made = ptx::memory().allocate(bytes);
    if (made == nullptr) {
        return ptx::failed(cudaErrorMemoryAllocation);
    }
    *address = made;
    return ptx::add(stream, ptx::node_kind::allocation, [made] { ptx::memory().poison(made); });
}
cudaError_t cudaFreeAsync(void* address, cudaStream_t stream) {
    const CUstream_st* const own = ptx::find_stream(stream);
    if (own == nullptr) {
        return ptx::failed(cudaErrorInvalidResourceHandle);
    }
    if (own->capture != nullptr) { // the graph keeps its memory
        return ptx::add(stream, ptx::node_kind::release, [address] { ptx::memory().poison(address); });
    }
    return ptx::add(stream, ptx::node_kind::release, [address] {
        if (!ptx::memory().release(address)) {
            ptx::report(ptx::fault(ptx::fault_kind::address, "cudaFreeAsync of what is no allocation"));
        }
    });
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
    const bool to_device = ptx::memory().is_device(to);
    const bool from_device = ptx::memory().is_device(from);
    const bool is_wrong_way =
        (kind == cudaMemcpyHostToDevice && from_device) || (kind == cudaMemcpyDeviceToHost && to_device);
    if (bytes == 0) {
        return ptx::done();
    }
    if (is_wrong_way || ptx::reach(to, bytes) == nullptr || ptx::reach(from, bytes) == nullptr) {
        return ptx::failed(cudaErrorInvalidValue);
    }
    return ptx::add(stream, ptx::node_kind::copy, [=] { ptx::copy_now(to, from, bytes); });
}
cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
    const cudaError_t code = cudaMemcpyAsync(to, from, bytes, kind, nullptr);
    ptx::wait_for_default_stream();
    return code != cudaSuccess ? code : ptx::done();
}
cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream) {
    if (bytes == 0) {
        return ptx::done();
    }
    if (ptx::reach(to, bytes) == nullptr) {
        return ptx::failed(cudaErrorInvalidValue);
    }
    return ptx::add(stream, ptx::node_kind::fill, [=] { ptx::fill_now(to, value, bytes); });
}
cudaError_t cudaMemset(void* to, int value, std::size_t bytes) {
    const cudaError_t code = cudaMemsetAsync(to, value, bytes, nullptr);
    ptx::wait_for_default_stream();
    return code != cudaSuccess ? code : ptx::done();
}

} // extern "C"
