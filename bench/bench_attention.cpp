// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <array>
#include <cstddef>
#include <random>
#include <vector>

#include <benchmark/benchmark.h>

#include <unmask/attention/attention.hpp>
#include <unmask/cpu/tile_product.hpp>
#include <unmask/mask/bidirectional.hpp>
#include <unmask/mask/block.hpp>
#include <unmask/mask/causal.hpp>
#include <unmask/mask/extra_sink.hpp>
#include <unmask/mask/sliding_window.hpp>
#include <unmask/sink/key_value_sink.hpp>

// Attention on the CPU, all cores: 8 heads, lengths and head dimensions as arguments. `useful_flops` counts 4 · head_dim
// for a visible (query, key, head) forward and 2.5 times that backward, so that a mask is credited only for what it shows.

namespace {

using namespace unmask;

constexpr index_t heads = 8;

struct buffers {
    index_t length;
    index_t head_dim;
    std::vector<float> query, key, value, output, log_sum_exp, d_output, d_query, d_key, d_value, sink;

    buffers(index_t n, index_t d) : length(n), head_dim(d) {
        std::mt19937 random(1);
        std::normal_distribution<float> normal;
        const auto size = static_cast<std::size_t>(n * heads * d);
        for (std::vector<float>* each : {&query, &key, &value, &d_output}) {
            each->resize(size);
            for (float& x : *each) {
                x = normal(random);
            }
        }
        for (std::vector<float>* each : {&output, &d_query, &d_key, &d_value}) {
            each->resize(size);
        }
        log_sum_exp.resize(static_cast<std::size_t>(n * heads));
        sink.assign(static_cast<std::size_t>(heads * d), 0.1F);
    }

    // [1, length, heads, head_dim]
    auto part(auto& values) const { return view(values.data(), index_t{1}, length, heads, head_dim); }
    attention_tensors<float> tensors() {
        return {part(std::as_const(query)), part(std::as_const(key)), part(std::as_const(value)), part(output),
                view(log_sum_exp.data(), index_t{1}, heads, length)};
    }
    attention_gradients<float> gradients() {
        return {part(std::as_const(d_output)), part(d_query), part(d_key), part(d_value)};
    }
    [[nodiscard]] key_value_sink folded_sink() const {
        return {view(sink.data(), heads, head_dim), view(sink.data(), heads, head_dim)};
    }
};

template <class Mask>
double visible_scores(const Mask& mask, index_t length) {
    double count = 0.0;
    for (index_t q = 0; q < length; ++q) {
        for (const range& seen : mask.row(q, length)) {
            count += static_cast<double>(seen.end - seen.begin);
        }
    }
    return count * heads;
}

void report(benchmark::State& state, double flops) {
    state.counters["useful_flops"] =
        benchmark::Counter(flops, benchmark::Counter::kIsIterationInvariantRate, benchmark::Counter::kIs1000);
}

template <class Mask, class Sink = no_sink>
void forward(benchmark::State& state, Mask mask, Sink = {}) {
    buffers data(state.range(0), state.range(1));
    const attention_tensors<float> tensors = data.tensors();
    for (auto _ : state) {
        if constexpr (Sink::present) {
            attention_forward(cpu_executor{}, tensors, mask, data.folded_sink());
        } else {
            attention_forward(cpu_executor{}, tensors, mask);
        }
        benchmark::ClobberMemory();
    }
    report(state, 4.0 * static_cast<double>(data.head_dim) * visible_scores(mask, data.length));
}

template <class Mask>
void backward(benchmark::State& state, Mask mask) {
    buffers data(state.range(0), state.range(1));
    const attention_tensors<float> tensors = data.tensors();
    attention_forward(cpu_executor{}, tensors, mask);
    for (auto _ : state) {
        attention_backward(cpu_executor{}, tensors, data.gradients(), mask);
        benchmark::ClobberMemory();
    }
    report(state, 10.0 * static_cast<double>(data.head_dim) * visible_scores(mask, data.length));
}

// The peak to compare with: what this core does when it does nothing but multiply and add in registers.
void fused_multiply_add_peak(benchmark::State& state) {
    using detail::vfloat;
    constexpr int chains = 12; // enough to hide the latency
    std::array<vfloat, chains> sums{};
    const vfloat factor = detail::broadcast(0.999F);
    for (auto _ : state) {
        for (int repeat = 0; repeat < 1000; ++repeat) {
#pragma GCC unroll 16
            for (vfloat& sum : sums) {
                sum = sum * factor + factor;
            }
        }
        benchmark::DoNotOptimize(sums);
    }
    report(state, 2.0 * chains * detail::lanes * 1000.0);
}

void shapes(benchmark::internal::Benchmark* bench) {
    bench->ArgsProduct({{512, 2048}, {64, 128}})->ArgNames({"length", "head_dim"})->UseRealTime();
}

BENCHMARK(fused_multiply_add_peak);
BENCHMARK_CAPTURE(forward, bidirectional, bidirectional{})->Apply(shapes);
BENCHMARK_CAPTURE(forward, key_value_sink, bidirectional{}, key_value_sink{})->Apply(shapes);
BENCHMARK_CAPTURE(forward, extra_sink, extra_sink{bidirectional{}})->Apply(shapes);
BENCHMARK_CAPTURE(forward, causal, causal{})->Apply(shapes);
BENCHMARK_CAPTURE(forward, block_32, block{32})->Apply(shapes);
BENCHMARK_CAPTURE(forward, sliding_window, sliding_window{256, 256})->Apply(shapes);
BENCHMARK_CAPTURE(backward, bidirectional, bidirectional{})->Apply(shapes);
BENCHMARK_CAPTURE(backward, causal, causal{})->Apply(shapes);

} // namespace

BENCHMARK_MAIN();
