// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <optional>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>
#include <cuda_runtime.h>

#include <unmask/cuda/rows/read_rows.cuh>
#include <unmask/sampler/detail/device/run.cuh>
#include <unmask/sampler/draw/draw.hpp>
#include <unmask/sampler/sampler.hpp>

#include "cuda/describe_gpu.cuh"
#include "cuda/device_array.cuh"
#include "cuda/peaks.hpp"
#include "cuda/timer.cuh"

// The sampler's own work on a GPU. Time is the GPU's, between CUDA events, outside the caches.
//
//   rows/…    reading 1024 rows of 126464 bfloat16 logits. bandwidth_fraction: of what reading alone reaches
//   step/…    a step without its model: 64 sequences of 256 masked positions, 32000 tokens. of_reading: time over
//             that of reading the logits once at that bandwidth
//   replay/…  the host's time for a step that is replayed as a CUDA graph
//
// Without a GPU nothing is run.

namespace bench {

using namespace unmask;

/// Its logits are there already.
struct free_model {
    static constexpr bool on_device = true;
    unmask::vocabulary tokens;

    [[nodiscard]] unmask::vocabulary vocabulary() const { return tokens; }
    void denoise(const cuda_executor& /*exec*/, const device_canvas& /*page*/, const device_rows& /*rows*/,
                 tensor_view<bfloat16, 2> /*logits*/) const {}
};

static_assert(device_denoiser<free_model>);

} // namespace bench

namespace {

using namespace unmask;
using bench::device_array;
using bench::free_model;
using bench::index_t;

constexpr const char* rows_sizes = "/rows:1024/vocabulary:126464";
constexpr const char* step_sizes = "/sequences:64/masked:256/vocabulary:32000";

void time_on_gpu(benchmark::State& state, const auto& prepare, const auto& call) {
    const bench::gpu_timer timer;
    const bench::cache_flush flush;
    for (auto _ : state) {
        prepare();
        flush();
        state.SetIterationTime(timer.seconds(call));
    }
}

void read_rows(benchmark::State& state, const categorical& draw) {
    constexpr index_t rows = 1024;
    constexpr index_t size = 126464;
    static const auto logits = bench::normal_numbers<bfloat16>(rows * size, 1);
    const double bandwidth = bench::measure_peaks().bytes;
    const device_array<double> uniforms(std::vector<double>(rows, 0.3));
    const device_array<detail::cuda::row_outcome> outcomes(rows);
    const device_array<detail::cuda::chunk_record> records(rows * ((size + 1023) / 1024));
    const device_array<detail::row_state> states(rows);
    const device_array<detail::token_floor> floors(rows);
    const detail::cuda::row_call<bfloat16> call{{logits.data(), size, size, -1},
                                                rows,
                                                nullptr,
                                                detail::row_rule::at_temperature(draw.temperature),
                                                uniforms.data(),
                                                outcomes.data(),
                                                nullptr,
                                                records.data(),
                                                states.data()};
    const detail::token_filter filter = draw.filter();
    const auto read = [&] {
        filter.keeps_all(size)
            ? detail::cuda::read_rows(detail::cuda::work_stream{}, call)
            : detail::cuda::read_filtered_rows(detail::cuda::work_stream{}, call, filter, floors.data());
    };
    read();
    time_on_gpu(state, [] {}, read);
    using benchmark::Counter;
    const auto bytes = static_cast<double>(logits.bytes());
    state.counters["bytes_a_second"] = Counter(bytes, Counter::kIsIterationInvariantRate);
    state.counters["bandwidth_fraction"] = Counter(bytes / bandwidth, Counter::kIsIterationInvariantRate);
    state.counters["bandwidth"] = bandwidth;
}

/// What a sampler does on a canvas of 64 sequences.
struct free_run {
    using policies = detail::policy_set<steps, categorical>;
    using run_type = detail::cuda::device_run<const free_model, policies>;

    vocabulary tokens{.size = 32000, .mask = 32000, .end = {}};
    free_model model{tokens};
    policies how{{{steps{64}}, {}}};
    canvas page{tokens};

    free_run() {
        for (int i = 0; i < 64; ++i) {
            page.add({}, 256);
        }
    }
    [[nodiscard]] run_type start() const { return run_type(cuda_executor{}, model, page, 1, how); }
    [[nodiscard]] double bytes() const { return 64.0 * 256 * 32000 * sizeof(bfloat16); }
};

// A first step, of a new run each time: its logits are what the memory held.
void step(benchmark::State& state) {
    const free_run all;
    const double bandwidth = bench::measure_peaks().bytes;
    std::optional<free_run::run_type> run;
    const auto prepare = [&] {
        run.reset();
        run.emplace(cuda_executor{}, all.model, all.page, 1, all.how);
        run->enqueue_plan(cuda_executor{});
        const index_t logits = static_cast<index_t>(all.bytes()) / index_t{sizeof(bfloat16)};
        bench::detail::fill_normal<<<static_cast<unsigned>(logits / 256), 256>>>(run->logits(), logits, 1);
    };
    time_on_gpu(state, prepare, [&] { run->enqueue_step(cuda_executor{}); });
    state.counters["of_reading"] = benchmark::Counter(
        all.bytes() / bandwidth, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
    state.counters["bandwidth"] = bandwidth;
}

void replay(benchmark::State& state) {
    const free_run all;
    const auto run = all.start();
    run.enqueue_plan(cuda_executor{});
    run.enqueue_step(cuda_executor{});
    cudaStream_t stream = nullptr;
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t executable = nullptr;
    bench::expect_success(cudaStreamCreate(&stream), "cudaStreamCreate");
    bench::expect_success(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
    run.enqueue_step(cuda_executor{stream});
    bench::expect_success(cudaStreamEndCapture(stream, &graph), "cudaStreamEndCapture");
    bench::expect_success(cudaGraphInstantiate(&executable, graph, 0), "cudaGraphInstantiate");
    for (auto _ : state) {
        const auto begin = std::chrono::steady_clock::now();
        bench::expect_success(cudaGraphLaunch(executable, stream), "cudaGraphLaunch");
        state.SetIterationTime(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
        bench::expect_success(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
    }
    state.counters["host_seconds"] =
        benchmark::Counter(1, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
    (void)cudaGraphExecDestroy(executable);
    (void)cudaGraphDestroy(graph);
    (void)cudaStreamDestroy(stream);
}

void add(const std::string& name, const auto& run) {
    benchmark::RegisterBenchmark(name.c_str(), run)->UseManualTime()->Unit(benchmark::kMicrosecond);
}

} // namespace

int main(int argc, char** argv) {
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) {
        return 1;
    }
    int gpus = 0;
    if (cudaGetDeviceCount(&gpus) != cudaSuccess || gpus == 0) {
        std::fputs("bench_sampler_cuda: no GPU\n", stderr);
        return 0;
    }
    try {
        bench::describe_gpu();
        const auto rows = [](const char* draw_name, const categorical& draw) {
            add(std::string("rows/bf16/") + draw_name + rows_sizes,
                [draw](benchmark::State& state) { read_rows(state, draw); });
        };
        rows("greedy", {.temperature = 0});
        rows("categorical", {});
        rows("categorical_0.7", {.temperature = 0.7});
        rows("top_k_50", {.temperature = 0.7, .top_k = 50});
        rows("top_p_0.9", {.temperature = 0.7, .top_p = 0.9});
        add(std::string("step/free_model") + step_sizes, step);
        add(std::string("replay/free_model") + step_sizes, replay);
        benchmark::RunSpecifiedBenchmarks();
    } catch (const std::exception& error) {
        std::fprintf(stderr, "bench_sampler_cuda: %s\n", error.what());
        return 1;
    }
    return 0;
}
