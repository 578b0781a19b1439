// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// What only a GPU has: streams that lag behind the host, and graphs.

#include <atomic>
#include <chrono>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include <cuda_runtime_api.h>
#include <doctest/doctest.h>

#include <unmask/executor/caching_memory_resource.cuh>

#include "../test_stream.hpp"
#include "device_problem.hpp"

namespace {

using namespace test;
using calls = device_calls<bfloat16, any_mask, key_value_sink>;

// Forward, with keys that are split, and received.
void enqueue(const device_problem<bfloat16>& device, const cuda_executor& exec) {
    const auto sink = device.template sink<key_value_sink>();
    const any_mask mask(prefix{3000});
    calls::forward(exec, device.tensors(), mask, sink, {});
    calls::received(exec, device.tensors(), device.received_view(), mask, sink, {});
}

problem<bfloat16> a_problem() {
    std::mt19937 random(1);
    return problem<bfloat16>({1, 5, 4000, 4, 2, 64}, random);
}

std::vector<bfloat16> output_of(const device_problem<bfloat16>& device) {
    REQUIRE(cudaDeviceSynchronize() == cudaSuccess);
    device.fetch();
    return device.host.output;
}

bool same_bits(const std::vector<bfloat16>& a, const std::vector<bfloat16>& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(bfloat16)) == 0;
}

// Holds a stream up until it is opened, but not for ever.
struct gate {
    std::atomic<bool> open = false;
    std::atomic<bool> timed_out = false;

    static void wait(void* data) {
        auto& self = *static_cast<gate*>(data);
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
        while (!self.open) {
            if (std::chrono::steady_clock::now() > end) {
                self.timed_out = true;
                return;
            }
            std::this_thread::yield();
        }
    }
};

} // namespace

TEST_CASE("calls return before their work is done") {
    problem<bfloat16> host = a_problem();
    const device_problem<bfloat16> device(host);
    const test_stream stream;
    enqueue(device, {stream.handle}); // loads the kernels
    REQUIRE(cudaStreamSynchronize(stream.handle) == cudaSuccess);
    gate held;
    REQUIRE(cudaLaunchHostFunc(stream.handle, &gate::wait, &held) == cudaSuccess);
    enqueue(device, {stream.handle});
    CHECK(cudaStreamQuery(stream.handle) == cudaErrorNotReady);
    held.open = true;
    REQUIRE(cudaStreamSynchronize(stream.handle) == cudaSuccess);
    CHECK(!held.timed_out);
}

TEST_CASE("calls are captured in a graph, which gives the same bits each time") {
    problem<bfloat16> host = a_problem();
    const device_problem<bfloat16> direct(host);
    enqueue(direct, {});
    const std::vector<bfloat16> wanted = output_of(direct);

    problem<bfloat16> again = a_problem();
    const device_problem<bfloat16> captured(again);
    const test_stream stream;
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t instance = nullptr;
    REQUIRE(cudaStreamBeginCapture(stream.handle, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
    enqueue(captured, {stream.handle});
    REQUIRE(cudaStreamEndCapture(stream.handle, &graph) == cudaSuccess);
    REQUIRE(cudaGraphInstantiate(&instance, graph, 0) == cudaSuccess);
    for (int launch = 0; launch < 3; ++launch) {
        REQUIRE(cudaMemsetAsync(captured.output.data(), 0xff, again.output.size() * sizeof(bfloat16), stream.handle) ==
                cudaSuccess);
        REQUIRE(cudaGraphLaunch(instance, stream.handle) == cudaSuccess);
        CHECK(same_bits(output_of(captured), wanted));
    }
    cudaGraphExecDestroy(instance);
    cudaGraphDestroy(graph);
}

TEST_CASE("the backward pass is captured as well, with scratch memory that outlives the capture") {
    std::mt19937 random(2);
    problem<float> host({1, 70, 130, 2, 1, 40}, random);
    const any_mask mask(block{48});
    const auto solve = [&](const device_problem<float>& device, const cuda_executor& exec) {
        const auto sink = device.template sink<key_value_sink>();
        device_calls<float, any_mask, key_value_sink>::forward(exec, device.tensors(), mask, sink, {});
        device_gradients<float, any_mask, key_value_sink>::backward(exec, device.tensors(), device.gradients(sink),
                                                                    mask, sink, {});
    };
    const auto gradients_of = [](const device_problem<float>& device) {
        REQUIRE(cudaDeviceSynchronize() == cudaSuccess);
        device.fetch();
        std::vector<float> all = device.host.d_query;
        for (const std::vector<float>* each : {&device.host.d_key, &device.host.d_value, &device.host.d_keys}) {
            all.insert(all.end(), each->begin(), each->end());
        }
        return all;
    };
    const device_problem<float> direct(host);
    solve(direct, {});
    const std::vector<float> wanted = gradients_of(direct);

    problem<float> again = host.fresh();
    const device_problem<float> captured(again);
    const test_stream stream;
    caching_memory_resource scratch;
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t instance = nullptr;
    REQUIRE(cudaStreamBeginCapture(stream.handle, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
    solve(captured, {stream.handle, &scratch});
    REQUIRE(cudaStreamEndCapture(stream.handle, &graph) == cudaSuccess);
    REQUIRE(cudaGraphInstantiate(&instance, graph, 0) == cudaSuccess);
    for (int launch = 0; launch < 2; ++launch) {
        REQUIRE(cudaGraphLaunch(instance, stream.handle) == cudaSuccess);
        CHECK(gradients_of(captured) == wanted);
    }
    cudaGraphExecDestroy(instance);
    cudaGraphDestroy(graph);
}
