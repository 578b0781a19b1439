// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <mutex>
#include <optional>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/cuda/runtime/calls.cuh>
#include <unmask/cuda/runtime/work_stream.cuh>
#include <unmask/error.hpp>
#include <unmask/executor/cuda_executor.cuh>
#include <unmask/tensor/device_memory.cuh>

UNMASK_NAMESPACE_BEGIN

/// Scratch memory that is kept until the resource is destroyed, for calls that follow each other and for CUDA graphs:
///
///     unmask::caching_memory_resource scratch; // lives as long as the graph
///     const unmask::cuda_executor exec{stream, &scratch};
///     cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal);
///     unmask::attention_forward(exec, tensors, mask);
///
/// With it no captured call allocates as a part of its graph, so that calls can also be captured into child graphs and
/// the bodies of conditional nodes. Memory that one call has given back is given to a later one on the same stream;
/// memory of a captured call, to calls of the same capture alone, so that graphs and streams may run side by side. A
/// stream must be idle when it is destroyed before the resource.
///
/// The calls of cudaMalloc come with the first use of each size; the destructor calls cudaFree, which waits for the
/// device. Several threads may use it.
class caching_memory_resource final : public device_memory_resource {
public:
    /// Takes memory by cudaMalloc.
    caching_memory_resource() = default;
    /// Takes memory from exec.memory, in the order of exec.stream where a call is captured. Neither may go before this
    /// resource; and its destructor does not wait: all that uses the memory must be done.
    explicit caching_memory_resource(const cuda_executor& exec) : source_(detail::cuda::work_on(exec)) {}

    caching_memory_resource(const caching_memory_resource&) = delete;
    caching_memory_resource& operator=(const caching_memory_resource&) = delete;
    ~caching_memory_resource() override {
        for (const block& each : blocks_) {
            if (each.from) {
                each.from->deallocate(each.memory, each.bytes);
            } else {
                detail::free_now(each.memory);
            }
        }
    }

    /// Memory that was given back for the same stream and capture, if there is enough in one piece, or else more.
    /// Throws what its source throws, and invalid_argument if exec.stream is itself under capture.
    void* allocate(std::size_t bytes, cuda_stream stream) override {
        const user wanted{stream, detail::capture_of(stream)};
        const std::lock_guard lock(mutex_);
        block* best = nullptr;
        for (block& each : blocks_) {
            const bool fits = !each.in_use && each.last == wanted && each.bytes >= bytes;
            if (fits && (best == nullptr || each.bytes < best->bytes)) {
                best = &each;
            }
        }
        if (best == nullptr) {
            blocks_.reserve(blocks_.size() + 1);
            best = &blocks_.emplace_back(taken(bytes, wanted));
        }
        best->in_use = true;
        return best->memory;
    }
    /// Keeps the memory for later calls.
    void deallocate(void* memory, std::size_t /*bytes*/, cuda_stream /*stream*/) noexcept override {
        const std::lock_guard lock(mutex_);
        for (block& each : blocks_) {
            each.in_use = each.in_use && each.memory != memory;
        }
    }
    /// True.
    [[nodiscard]] bool keeps_captured_memory() const noexcept override { return true; }

private:
    struct user {
        cuda_stream stream;
        unsigned long long capture; // 0: none

        bool operator==(const user&) const = default;
    };
    struct block {
        void* memory;
        std::size_t bytes;
        std::optional<detail::cuda::work_stream> from; // none: cudaMalloc
        user last;
        bool in_use;
    };

    [[nodiscard]] block taken(std::size_t bytes, const user& by) const {
        const detail::uncaptured_calls outside;
        if (!source_) {
            return {detail::allocate_now(bytes), bytes, {}, by, true};
        }
        detail::cuda::work_stream from = *source_;
        if (by.capture == 0) {
            from.stream = by.stream;
        } else if (detail::capture_of(from.stream) != 0) {
            throw invalid_argument("caching_memory_resource", "exec.stream", "a stream under capture", "another one");
        }
        return {from.allocate(bytes), bytes, from, by, true};
    }

    std::optional<detail::cuda::work_stream> source_;
    std::mutex mutex_;
    std::vector<block> blocks_;
};

UNMASK_NAMESPACE_END
