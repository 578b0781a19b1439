// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "streams.hpp"

#include <algorithm>
#include <set>

#include "errors.hpp"

std::uint64_t CUstream_st::last() {
    const std::lock_guard lock(mutex_);
    return enqueued_;
}
bool CUstream_st::is_done() {
    const std::lock_guard lock(mutex_);
    return done_ == enqueued_;
}
void CUstream_st::wait_for(std::uint64_t number) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return done_ >= number; });
}
void CUstream_st::enqueue(std::function<void()> run, std::vector<std::pair<CUstream_st*, std::uint64_t>> after) {
    const std::lock_guard lock(mutex_);
    jobs_.push_back({std::move(run), std::move(after)});
    ++enqueued_;
    changed_.notify_all();
}
void CUstream_st::stop() {
    {
        const std::lock_guard lock(mutex_);
        stops_ = true;
        changed_.notify_all();
    }
    worker_.join();
}
void CUstream_st::work() {
    std::unique_lock lock(mutex_);
    while (true) {
        changed_.wait(lock, [this] { return stops_ || !jobs_.empty(); });
        if (jobs_.empty()) {
            return;
        }
        const job now = std::move(jobs_.front());
        jobs_.pop_front();
        lock.unlock();
        for (const auto& [stream, number] : now.after) {
            stream->wait_for(number);
        }
        now.run();
        lock.lock();
        ++done_;
        changed_.notify_all();
    }
}

namespace ptx {
namespace {

struct stream_list {
    std::mutex mutex;
    std::set<CUstream_st*> all; // but the default one
    CUstream_st default_stream{true};
};
stream_list& streams() {
    static auto* const list = new stream_list; // never destroyed: its threads run until the program ends
    return *list;
}

std::vector<CUstream_st*> all_streams() {
    const std::lock_guard lock(streams().mutex);
    std::vector<CUstream_st*> all(streams().all.begin(), streams().all.end());
    all.push_back(&streams().default_stream);
    return all;
}

thread_local cudaStreamCaptureMode thread_mode = cudaStreamCaptureModeGlobal;

bool is_default(const CUstream_st* stream) {
    return stream == &streams().default_stream;
}
bool captures(const CUstream_st* stream) {
    return stream->capture != nullptr;
}
// The default stream waits for blocking ones, which a capture can't have.
bool is_default_in_capture(const CUstream_st* stream) {
    const auto all = all_streams();
    return is_default(stream) && std::any_of(all.begin(), all.end(),
                                             [](const CUstream_st* each) { return captures(each) && each->blocking; });
}

std::vector<std::pair<CUstream_st*, std::uint64_t>> before(const CUstream_st* stream) {
    std::vector<std::pair<CUstream_st*, std::uint64_t>> result;
    if (is_default(stream)) {
        for (CUstream_st* const each : all_streams()) {
            if (each->blocking && each != stream) {
                result.emplace_back(each, each->last());
            }
        }
    } else if (stream->blocking) {
        result.emplace_back(&streams().default_stream, streams().default_stream.last());
    }
    return result;
}

} // namespace

CUstream_st* find_stream(cudaStream_t handle) {
    if (handle == nullptr || handle == cudaStreamLegacy) {
        return &streams().default_stream;
    }
    const std::lock_guard lock(streams().mutex);
    return streams().all.count(handle) > 0 ? handle : nullptr;
}

bool is_forbidden_by_capture() {
    const auto forbids = [](const CUstream_st* s) {
        const bool is_own = s->capture_thread == std::this_thread::get_id();
        return captures(s) && s->capture_mode != cudaStreamCaptureModeRelaxed &&
               (is_own ||
                (s->capture_mode == cudaStreamCaptureModeGlobal && thread_mode == cudaStreamCaptureModeGlobal));
    };
    bool is_forbidden = false;
    for (CUstream_st* const each : all_streams()) {
        if (thread_mode != cudaStreamCaptureModeRelaxed && forbids(each)) {
            each->is_capture_valid = false;
            is_forbidden = true;
        }
    }
    return is_forbidden;
}

cudaError_t invalidate_capture(CUstream_st* stream, cudaError_t code) {
    stream->is_capture_valid = false;
    return failed(code);
}

void wait_for_default_stream() {
    streams().default_stream.wait();
}

cudaError_t add(cudaStream_t to, node_kind kind, std::function<void()> run) {
    CUstream_st* const stream = find_stream(to);
    if (stream == nullptr) {
        return failed(cudaErrorInvalidResourceHandle);
    }
    if (captures(stream)) {
        const cudaError_t code =
            stream->is_capture_valid ? stream->capture->add(kind, std::move(run)) : cudaErrorStreamCaptureInvalidated;
        return code == cudaSuccess ? code : invalidate_capture(stream, code);
    }
    if (is_default_in_capture(stream)) {
        return failed(cudaErrorStreamCaptureImplicit);
    }
    stream->enqueue(std::move(run), before(stream));
    return done();
}

} // namespace ptx

extern "C" {

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
    auto* const made = new CUstream_st((flags & cudaStreamNonBlocking) == 0);
    const std::lock_guard lock(ptx::streams().mutex);
    ptx::streams().all.insert(made);
    *stream = made;
    return cudaSuccess;
}
cudaError_t cudaStreamCreate(cudaStream_t* stream) {
    return cudaStreamCreateWithFlags(stream, cudaStreamDefault);
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    CUstream_st* const own = ptx::find_stream(stream);
    if (own == nullptr || ptx::is_default(own)) {
        return ptx::failed(cudaErrorInvalidResourceHandle);
    }
    {
        const std::lock_guard lock(ptx::streams().mutex);
        ptx::streams().all.erase(own);
    }
    own->stop(); // the object stays: others may wait for it
    return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    CUstream_st* const own = ptx::find_stream(stream);
    if (own == nullptr) {
        return ptx::failed(cudaErrorInvalidResourceHandle);
    }
    if (ptx::captures(own)) {
        return ptx::invalidate_capture(own, cudaErrorStreamCaptureUnsupported);
    }
    if (ptx::is_default_in_capture(own)) {
        return ptx::failed(cudaErrorStreamCaptureUnsupported);
    }
    own->wait();
    return ptx::done();
}
cudaError_t cudaStreamQuery(cudaStream_t stream) {
    CUstream_st* const own = ptx::find_stream(stream);
    if (own == nullptr) {
        return ptx::failed(cudaErrorInvalidResourceHandle);
    }
    if (ptx::captures(own)) {
        return ptx::invalidate_capture(own, cudaErrorStreamCaptureUnsupported);
    }
    return own->is_done() ? ptx::done() : cudaErrorNotReady;
}
cudaError_t cudaDeviceSynchronize() {
    const auto all = ptx::all_streams();
    if (std::any_of(all.begin(), all.end(), ptx::captures)) {
        return ptx::failed(cudaErrorStreamCaptureUnsupported);
    }
    for (CUstream_st* const each : all) {
        each->wait();
    }
    return ptx::done();
}
cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* data) {
    return ptx::add(stream, ptx::node_kind::host, [=] { function(data); });
}

cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
    std::swap(ptx::thread_mode, *mode);
    return cudaSuccess;
}

} // extern "C"

namespace ptx {
namespace {

cudaError_t begin_capture(cudaStream_t handle, CUgraph_st* graph, cudaStreamCaptureMode mode) {
    static std::uint64_t captures_so_far = 0;
    CUstream_st* const stream = find_stream(handle);
    if (stream == nullptr || is_default(stream)) {
        return failed(cudaErrorStreamCaptureUnsupported);
    }
    if (captures(stream)) {
        return failed(cudaErrorIllegalState);
    }
    const std::lock_guard lock(streams().mutex);
    stream->is_to_graph = graph != nullptr;
    stream->capture = graph != nullptr ? graph : new CUgraph_st;
    stream->capture_mode = mode;
    stream->capture_number = ++captures_so_far;
    stream->capture_thread = std::this_thread::get_id();
    stream->is_capture_valid = true;
    return cudaSuccess;
}

} // namespace
} // namespace ptx

extern "C" {

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
    return ptx::begin_capture(stream, nullptr, mode);
}
cudaError_t cudaStreamBeginCaptureToGraph(cudaStream_t stream, cudaGraph_t graph, const cudaGraphNode_t* /*after*/,
                                          const cudaGraphEdgeData* /*edges*/, std::size_t dependencies,
                                          cudaStreamCaptureMode mode) {
    if (graph == nullptr || dependencies != 0) {
        return ptx::failed(cudaErrorInvalidValue);
    }
    return ptx::begin_capture(stream, graph, mode);
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
    CUstream_st* const own = ptx::find_stream(stream);
    if (own == nullptr || !ptx::captures(own)) {
        return ptx::failed(cudaErrorIllegalState);
    }
    *graph = own->is_capture_valid ? own->capture : nullptr;
    own->capture = nullptr;
    return ptx::failed(own->is_capture_valid ? cudaSuccess : cudaErrorStreamCaptureInvalidated);
}
cudaError_t cudaStreamGetCaptureInfo(cudaStream_t stream, cudaStreamCaptureStatus* status, unsigned long long* number,
                                     cudaGraph_t* graph, const cudaGraphNode_t** /*dependencies*/,
                                     const cudaGraphEdgeData** /*edges*/, std::size_t* /*dependency_count*/) {
    CUstream_st* const own = ptx::find_stream(stream);
    if (own == nullptr) {
        return ptx::failed(cudaErrorInvalidResourceHandle);
    }
    if (ptx::is_default_in_capture(own)) {
        return ptx::failed(cudaErrorStreamCaptureImplicit);
    }
    *status = !ptx::captures(own)     ? cudaStreamCaptureStatusNone
              : own->is_capture_valid ? cudaStreamCaptureStatusActive
                                      : cudaStreamCaptureStatusInvalidated;
    if (number != nullptr) {
        *number = own->capture_number;
    }
    if (graph != nullptr) {
        *graph = own->capture;
    }
    return cudaSuccess;
}

} // extern "C"
