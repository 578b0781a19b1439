// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>

#include <unmask/config.hpp>
#include <unmask/cuda/runtime/calls.cuh>
#include <unmask/cuda/runtime/work_stream.cuh>

// Work that the device repeats until a number in its memory is 0, without asking the host: a CUDA graph with a
// conditional node.

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

#if CUDART_VERSION >= 12040

struct go_on_parameters {
    cudaGraphConditionalHandle handle;
    const int* running;
};

template <class Parameters>
UNMASK_KERNEL(1, 1)
void go_on_kernel(Parameters p) {
    cudaGraphSetConditional(p.handle, *p.running != 0 ? 1U : 0U);
}

class graph_loop {
public:
    graph_loop() = default;
    graph_loop(const graph_loop&) = delete;
    graph_loop& operator=(const graph_loop&) = delete;
    ~graph_loop() { clear(); }

    // Records enqueue(work_stream), to be repeated for as long as *running is not 0. Nothing runs yet. False if there
    // is no such loop: CUDA or its driver doesn't know them, or something in it can't be part of one.
    template <class Enqueue>
    bool record(const int* running, device_memory_resource* memory, const Enqueue& enqueue) {
        clear();
        if (!is_known()) {
            return false;
        }
        try {
            expect_success(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
            expect_success(cudaGraphCreate(&graph_, 0), "cudaGraphCreate");
            go_on_parameters p{{}, running};
            expect_success(cudaGraphConditionalHandleCreate(&p.handle, graph_, 0, cudaGraphCondAssignDefault),
                           "cudaGraphConditionalHandleCreate");
            const auto go_on = [&] { launch(&go_on_kernel<go_on_parameters>, 1, 1, 0, stream_, p); };
            record_to(graph_, go_on);
            record_to(add_loop(p.handle), [&] {
                enqueue(work_stream{stream_, memory});
                go_on();
            });
            expect_success(cudaGraphInstantiate(&executable_, graph_, 0), "cudaGraphInstantiate");
        } catch (const cuda_error&) {
            clear();
            return false;
        }
        return true;
    }

    [[nodiscard]] bool is_recorded() const { return executable_ != nullptr; }

    // Enqueues the loop.
    void run(cuda_stream stream) const { expect_success(cudaGraphLaunch(executable_, stream), "cudaGraphLaunch"); }

private:
    static bool is_known() {
        int version = 0;
        expect_success(cudaDriverGetVersion(&version), "cudaDriverGetVersion");
        return version >= 12040;
    }

    // Records enqueue(). What can't be recorded ends in a cuda_error, whatever enqueue() throws.
    template <class Enqueue>
    void record_to(cudaGraph_t graph, const Enqueue& enqueue) {
        expect_success(
            cudaStreamBeginCaptureToGraph(stream_, graph, nullptr, nullptr, 0, cudaStreamCaptureModeThreadLocal),
            "cudaStreamBeginCaptureToGraph");
        cudaGraph_t recorded = nullptr;
        try {
            enqueue();
        } catch (...) {
            expect_success(cudaStreamEndCapture(stream_, &recorded), "cudaStreamEndCapture");
            throw;
        }
        expect_success(cudaStreamEndCapture(stream_, &recorded), "cudaStreamEndCapture");
    }

    // Adds a loop, which goes on for as long as `handle` says, after the graph's only node; its body.
    cudaGraph_t add_loop(cudaGraphConditionalHandle handle) {
        cudaGraphNode_t before = nullptr;
        std::size_t one = 1;
        expect_success(cudaGraphGetNodes(graph_, &before, &one), "cudaGraphGetNodes");
        cudaGraphNodeParams loop{};
        loop.type = cudaGraphNodeTypeConditional;
        loop.conditional.handle = handle;
        loop.conditional.type = cudaGraphCondTypeWhile;
        loop.conditional.size = 1;
        cudaGraphNode_t node = nullptr;
#if CUDART_VERSION >= 13000
        expect_success(cudaGraphAddNode(&node, graph_, &before, nullptr, 1, &loop), "cudaGraphAddNode");
#else
        expect_success(cudaGraphAddNode(&node, graph_, &before, 1, &loop), "cudaGraphAddNode");
#endif
        return loop.conditional.phGraph_out[0];
    }

    void clear() noexcept {
        if (executable_ != nullptr) {
            (void)cudaGraphExecDestroy(executable_);
        }
        if (graph_ != nullptr) {
            (void)cudaGraphDestroy(graph_);
        }
        if (stream_ != nullptr) {
            (void)cudaStreamDestroy(stream_);
        }
        stream_ = nullptr;
        graph_ = nullptr;
        executable_ = nullptr;
    }

    cudaStream_t stream_ = nullptr; // that is recorded from
    cudaGraph_t graph_ = nullptr;
    cudaGraphExec_t executable_ = nullptr;
};

#else

class graph_loop {
public:
    template <class Enqueue>
    bool record(const int* /*running*/, device_memory_resource* /*memory*/, const Enqueue& /*enqueue*/) {
        return false;
    }
    [[nodiscard]] bool is_recorded() const { return false; }
    void run(cuda_stream /*stream*/) const {}
};

#endif

} // namespace detail::cuda
UNMASK_NAMESPACE_END
