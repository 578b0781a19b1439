// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <cuda_runtime_api.h>

#include "graphs.hpp"

// A stream is a thread that does what is enqueued, so the host runs ahead of it.
struct CUstream_st {
    explicit CUstream_st(bool is_blocking) : blocking(is_blocking), worker_([this] { work(); }) {}

    // How much has been enqueued so far.
    std::uint64_t last();
    bool is_done();
    // Until so much has been done.
    void wait_for(std::uint64_t number);
    void wait() { wait_for(last()); }
    // `after`: what other streams must have done before.
    void enqueue(std::function<void()> run, std::vector<std::pair<CUstream_st*, std::uint64_t>> after);
    // Does what is enqueued, and ends.
    void stop();

    const bool blocking; // waits for the default stream, which waits for it

    // Of a capture; null: none is under way.
    CUgraph_st* capture = nullptr;
    bool is_to_graph = false; // of the caller's
    unsigned long long capture_number = 0;
    cudaStreamCaptureMode capture_mode{};
    std::thread::id capture_thread;
    bool is_capture_valid = true; // until something is asked for that can't be recorded

private:
    struct job {
        std::function<void()> run;
        std::vector<std::pair<CUstream_st*, std::uint64_t>> after;
    };
    void work();

    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<job> jobs_;
    std::uint64_t enqueued_ = 0;
    std::uint64_t done_ = 0;
    bool stops_ = false;
    std::thread worker_;
};

namespace ptx {

// Enqueues work on a stream, or adds it to the graph that the stream records.
cudaError_t add(cudaStream_t to, node_kind kind, std::function<void()> run);
// The stream that a handle names, or null.
CUstream_st* find_stream(cudaStream_t handle);
// Whether a capture forbids this thread calls that are no part of it, such as cudaMalloc. If so, the capture fails.
bool is_forbidden_by_capture();
// Ends in failure what the stream records, if it records something.
cudaError_t invalidate_capture(CUstream_st* stream, cudaError_t code);
// The default stream's work.
void wait_for_default_stream();

} // namespace ptx
