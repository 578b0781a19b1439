// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <utility>

#include <cuda_runtime_api.h>

#include <unmask/config.hpp>
#include <unmask/error.cuh>
#include <unmask/tensor/device_memory.cuh>

// All that the host side asks of the CUDA runtime, but for graphs.

UNMASK_NAMESPACE_BEGIN

namespace detail {

inline void expect_success(cudaError_t code, const char* call) {
    if (code != cudaSuccess) {
        (void)cudaGetLastError(); // a launch's error stays behind otherwise, and is blamed on the next call
        throw cuda_error(call, code);
    }
}

/// What the current device is.
struct device_properties {
    int multiprocessors = 0;
    int cache_bytes = 0;          // of the second level
    int shared_bytes_a_block = 0; // at most, when asked for

    static device_properties current() {
        int device = 0;
        device_properties result;
        expect_success(cudaGetDevice(&device), "cudaGetDevice");
        const auto ask = [&](cudaDeviceAttr attribute) {
            int value = 0;
            expect_success(cudaDeviceGetAttribute(&value, attribute, device), "cudaDeviceGetAttribute");
            return value;
        };
        result.multiprocessors = ask(cudaDevAttrMultiProcessorCount);
        result.cache_bytes = ask(cudaDevAttrL2CacheSize);
        result.shared_bytes_a_block = ask(cudaDevAttrMaxSharedMemoryPerBlockOptin);
        return result;
    }
};

/// Whether the kernel's code for the current device was compiled for compute capability 8.0 or later.
template <class Parameters>
bool has_tensor_cores(void (*kernel)(Parameters)) {
    cudaFuncAttributes attributes{};
    expect_success(cudaFuncGetAttributes(&attributes, kernel), "cudaFuncGetAttributes");
    return attributes.ptxVersion >= 80;
}

/// Lets a kernel ask for that much dynamic shared memory: more than 48 KiB are not given unasked. Of these, kernels
/// have up to 2 besides.
template <class Parameters>
void allow_shared_memory(void (*kernel)(Parameters), std::size_t bytes) {
    if (bytes > 46 * 1024) {
        expect_success(
            cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)),
            "cudaFuncSetAttribute");
    }
}

/// How many blocks of a kernel a multiprocessor holds at once; 0 if one block asks for more shared memory than there
/// is. The runtime reckons that from the kernel's registers and the device's limits, without asking the device, and is
/// asked at every launch: what is kept from call to call is state, which threads would share.
template <class Parameters>
int resident_blocks(const device_properties& gpu, void (*kernel)(Parameters), int threads, std::size_t shared_bytes) {
    if (shared_bytes > static_cast<std::size_t>(gpu.shared_bytes_a_block)) {
        return 0;
    }
    allow_shared_memory(kernel, shared_bytes);
    int blocks = 0;
    expect_success(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, kernel, threads, shared_bytes),
                   "cudaOccupancyMaxActiveBlocksPerMultiprocessor");
    return blocks;
}

/// Enqueues a kernel. Does not wait for it.
template <class Parameters>
void launch(void (*kernel)(Parameters), int blocks, int threads, std::size_t shared_bytes, cuda_stream stream,
            const Parameters& parameters) {
    if (blocks == 0) {
        return;
    }
    allow_shared_memory(kernel, shared_bytes);
    kernel<<<static_cast<unsigned>(blocks), static_cast<unsigned>(threads), shared_bytes, stream>>>(parameters);
    expect_success(cudaGetLastError(), "a kernel's launch");
}

/// Enqueue copies between memory of the host and of the device. The host's may be used again, or read, when the stream
/// has got there.
inline void copy_to_device(void* to, const void* from, std::size_t bytes, cuda_stream stream) {
    expect_success(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream), "cudaMemcpyAsync");
}
inline void copy_to_host(void* to, const void* from, std::size_t bytes, cuda_stream stream) {
    expect_success(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream), "cudaMemcpyAsync");
}
/// Enqueues zeros.
inline void clear_device(void* memory, std::size_t bytes, cuda_stream stream) {
    expect_success(cudaMemsetAsync(memory, 0, bytes, stream), "cudaMemsetAsync");
}
/// Waits until all is done that was enqueued.
inline void synchronize(cuda_stream stream) {
    expect_success(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
}

/// The same where an error has been reported already.
inline void wait_for_all(cuda_stream stream) noexcept {
    (void)cudaStreamSynchronize(stream);
}

/// Whether all is done that was enqueued. Does not wait.
inline bool is_done(cuda_stream stream) {
    const cudaError_t code = cudaStreamQuery(stream);
    if (code == cudaErrorNotReady) {
        (void)cudaGetLastError(); // no error, but some drivers have left it behind for the next call
        return false;
    }
    expect_success(code, "cudaStreamQuery");
    return true;
}

/// Memory of the host that the device reads and writes at the same addresses.
inline void* allocate_mapped(std::size_t bytes) {
    void* memory = nullptr;
    expect_success(cudaHostAlloc(&memory, bytes, cudaHostAllocMapped), "cudaHostAlloc");
    return memory;
}
inline void free_mapped(void* memory) noexcept {
    (void)cudaFreeHost(memory);
}

/// A stream beside others, for transfers: what comes in it starts before kernels that wait for room on the device.
inline cuda_stream make_urgent_stream() {
    int least = 0;
    int greatest = 0;
    expect_success(cudaDeviceGetStreamPriorityRange(&least, &greatest), "cudaDeviceGetStreamPriorityRange");
    cuda_stream stream = nullptr;
    expect_success(cudaStreamCreateWithPriority(&stream, cudaStreamNonBlocking, greatest),
                   "cudaStreamCreateWithPriority");
    return stream;
}
inline void destroy_stream(cuda_stream stream) noexcept {
    (void)cudaStreamDestroy(stream);
}

/// How far a stream had come. Others can wait for that.
class stream_event {
public:
    explicit stream_event(cuda_stream stream) {
        expect_success(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming), "cudaEventCreateWithFlags");
        const cudaError_t code = cudaEventRecord(event_, stream);
        if (code != cudaSuccess) {
            (void)cudaEventDestroy(event_);
            expect_success(code, "cudaEventRecord");
        }
    }
    stream_event(stream_event&& other) noexcept : event_(std::exchange(other.event_, nullptr)) {}
    stream_event& operator=(stream_event&&) = delete;
    ~stream_event() {
        if (event_ != nullptr) {
            (void)cudaEventDestroy(event_); // CUDA keeps what streams still wait for
        }
    }

    /// What comes in a stream from here on waits. The host does not.
    void hold(cuda_stream stream) const {
        expect_success(cudaStreamWaitEvent(stream, event_, 0), "cudaStreamWaitEvent");
    }
    /// The same where an error has been reported already.
    void try_hold(cuda_stream stream) const noexcept { (void)cudaStreamWaitEvent(stream, event_, 0); }

private:
    cudaEvent_t event_ = nullptr;
};

/// The number of the capture that records what is enqueued on a stream; 0 if it is run.
inline unsigned long long capture_of(cuda_stream stream) {
    cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
    unsigned long long id = 0;
    expect_success(cudaStreamGetCaptureInfo(stream, &status, &id), "cudaStreamGetCaptureInfo");
    return status == cudaStreamCaptureStatusActive ? id : 0;
}

/// For as long as it lives, this thread may call what is no part of a graph although it captures a stream.
class uncaptured_calls {
public:
    uncaptured_calls() { (void)cudaThreadExchangeStreamCaptureMode(&mode_); }
    uncaptured_calls(const uncaptured_calls&) = delete;
    uncaptured_calls& operator=(const uncaptured_calls&) = delete;
    ~uncaptured_calls() { (void)cudaThreadExchangeStreamCaptureMode(&mode_); }

private:
    cudaStreamCaptureMode mode_ = cudaStreamCaptureModeRelaxed;
};

/// Memory that is there at once. Giving it back waits for the device.
inline void* allocate_now(std::size_t bytes) {
    void* memory = nullptr;
    expect_success(cudaMalloc(&memory, bytes), "cudaMalloc");
    return memory;
}
inline void free_now(void* memory) noexcept {
    (void)cudaFree(memory);
}

/// Memory in the order of the stream.
inline void* allocate_async(std::size_t bytes, cuda_stream stream) {
    void* memory = nullptr;
    expect_success(cudaMallocAsync(&memory, bytes, stream), "cudaMallocAsync");
    return memory;
}
inline void free_async(void* memory, cuda_stream stream) noexcept {
    (void)cudaFreeAsync(memory, stream);
}

} // namespace detail
UNMASK_NAMESPACE_END
