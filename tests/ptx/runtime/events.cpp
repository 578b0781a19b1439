// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <cstdint>
#include <mutex>

#include <cuda_runtime_api.h>

#include "errors.hpp"
#include "streams.hpp"

// Events: how far a stream had come when they were recorded. None is recorded in a capture.
struct CUevent_st {
    std::mutex mutex;
    CUstream_st* stream = nullptr; // null: not recorded
    std::uint64_t number = 0;
};

extern "C" {

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned /*flags*/) {
    *event = new CUevent_st;
    return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
    delete event;
    return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    CUstream_st* const own = ptx::find_stream(stream);
    if (own == nullptr || event == nullptr) {
        return ptx::failed(cudaErrorInvalidResourceHandle);
    }
    if (own->capture != nullptr) {
        return ptx::invalidate_capture(own, cudaErrorNotSupported);
    }
    const std::lock_guard lock(event->mutex);
    event->stream = own;
    event->number = own->last();
    return ptx::done();
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned /*flags*/) {
    CUstream_st* const own = ptx::find_stream(stream);
    if (own == nullptr || event == nullptr) {
        return ptx::failed(cudaErrorInvalidResourceHandle);
    }
    if (own->capture != nullptr) {
        return ptx::invalidate_capture(own, cudaErrorNotSupported);
    }
    const std::lock_guard lock(event->mutex);
    if (event->stream != nullptr) {
        own->enqueue([] {}, {{event->stream, event->number}});
    }
    return ptx::done();
}

// No stream is more urgent than another here.
cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
    *least = *greatest = 0;
    return cudaSuccess;
}
cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int /*priority*/) {
    return cudaStreamCreateWithFlags(stream, flags);
}

} // extern "C"
