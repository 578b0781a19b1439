// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>

#include <cuda_runtime.h>

#include "device_array.cuh"

namespace bench {

/// Times calls between two CUDA events, on the default stream.
class gpu_timer {
public:
    gpu_timer() {
        for (cudaEvent_t& event : events_) {
            expect_success(cudaEventCreate(&event), "cudaEventCreate");
        }
    }
    gpu_timer(const gpu_timer&) = delete;
    gpu_timer& operator=(const gpu_timer&) = delete;
    ~gpu_timer() {
        for (cudaEvent_t event : events_) {
            (void)cudaEventDestroy(event);
        }
    }

    template <class Call>
    double seconds(const Call& call) const {
        float milliseconds = 0.0F;
        expect_success(cudaEventRecord(events_[0]), "cudaEventRecord");
        call();
        expect_success(cudaEventRecord(events_[1]), "cudaEventRecord");
        expect_success(cudaEventSynchronize(events_[1]), "cudaEventSynchronize");
        expect_success(cudaEventElapsedTime(&milliseconds, events_[0], events_[1]), "cudaEventElapsedTime");
        return milliseconds / 1000.0;
    }

private:
    cudaEvent_t events_[2]{};
};

/// Leaves nothing of use in the second-level cache. Keeps the GPU busy meanwhile for long enough that what is enqueued
/// next is there before its turn: then the host's part of a call is not timed.
class cache_flush {
public:
    void operator()() const { expect_success(cudaMemsetAsync(memory_.data(), 0, memory_.bytes()), "cudaMemsetAsync"); }

private:
    device_array<std::byte> memory_{index_t{1} << 30};
};

} // namespace bench
