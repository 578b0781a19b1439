// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/cuda/runtime/calls.cuh>
#include <unmask/cuda/runtime/work_stream.cuh>

// Work that the device repeats until a number in its memory is 0, without asking the host: a CUDA graph with a
// conditional node. tests/emulator/ has this header once more.

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

// The parts of a graph, for as long as they are needed.
struct loop_graph {
    cudaStream_t stream = nullptr; // that its body is recorded from
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t executable = nullptr;

    loop_graph() = default;
    loop_graph(const loop_graph&) = delete;
    loop_graph& operator=(const loop_graph&) = delete;
    ~loop_graph() {
        if (executable != nullptr) {
            (void)cudaGraphExecDestroy(executable);
        }
        if (graph != nullptr) {
            (void)cudaGraphDestroy(graph);
        }
        if (stream != nullptr) {
            (void)cudaStreamDestroy(stream);
        }
    }

    // Adds a loop, which goes on for as long as `handle` says; its body.
    cudaGraph_t add_loop(cudaGraphConditionalHandle& handle) {
        expect_success(cudaGraphCreate(&graph, 0), "cudaGraphCreate");
        expect_success(cudaGraphConditionalHandleCreate(&handle, graph, 1, cudaGraphCondAssignDefault),
                       "cudaGraphConditionalHandleCreate");
        cudaGraphNodeParams loop{};
        loop.type = cudaGraphNodeTypeConditional;
        loop.conditional.handle = handle;
        loop.conditional.type = cudaGraphCondTypeWhile;
        loop.conditional.size = 1;
        cudaGraphNode_t node = nullptr;
#if CUDART_VERSION >= 13000
        expect_success(cudaGraphAddNode(&node, graph, nullptr, nullptr, 0, &loop), "cudaGraphAddNode");
#else
        expect_success(cudaGraphAddNode(&node, graph, nullptr, 0, &loop), "cudaGraphAddNode");
#endif
        return loop.conditional.phGraph_out[0];
    }
};

inline bool has_conditional_graphs() {
    int version = 0;
    expect_success(cudaDriverGetVersion(&version), "cudaDriverGetVersion");
    return version >= 12040;
}

// Enqueues enqueue(work_stream) once, and again for as long as *running is not 0 after it; then calls wait(), which
// must wait for the end. False, and nothing is enqueued, if CUDA or its driver has no such graphs.
template <class Enqueue, class Wait>
bool loop_on_device(const work_stream& work, const int* running, const Enqueue& enqueue, const Wait& wait) {
    if (!has_conditional_graphs()) {
        return false;
    }
    loop_graph loop;
    cudaGraphConditionalHandle handle{};
    const cudaGraph_t body = loop.add_loop(handle);
    expect_success(cudaStreamCreateWithFlags(&loop.stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
    expect_success(cudaStreamBeginCaptureToGraph(loop.stream, body, nullptr, nullptr, 0, cudaStreamCaptureModeRelaxed),
                   "cudaStreamBeginCaptureToGraph");
    work_stream recorder = work;
    recorder.stream = loop.stream;
    try {
        enqueue(recorder);
        launch(&go_on_kernel<go_on_parameters>, 1, 1, 0, loop.stream, go_on_parameters{handle, running});
    } catch (...) {
        cudaGraph_t unfinished = nullptr;
        (void)cudaStreamEndCapture(loop.stream, &unfinished);
        (void)cudaGetLastError();
        throw;
    }
    cudaGraph_t recorded = nullptr;
    expect_success(cudaStreamEndCapture(loop.stream, &recorded), "cudaStreamEndCapture");
    expect_success(cudaGraphInstantiate(&loop.executable, loop.graph, 0), "cudaGraphInstantiate");
    expect_success(cudaGraphLaunch(loop.executable, work.stream), "cudaGraphLaunch");
    wait();
    return true;
}

#else

template <class Enqueue, class Wait>
bool loop_on_device(const work_stream& /*work*/, const int* /*running*/, const Enqueue& /*enqueue*/,
                    const Wait& /*wait*/) {
    return false;
}

#endif

} // namespace detail::cuda
UNMASK_NAMESPACE_END
