// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include <unmask/executor/cpu_executor.hpp>
#include <unmask/random/philox.hpp>
#include <unmask/sampler/draw/draw.hpp>
#include <unmask/sampler/row_statistics.hpp>

#include "../support/read_once.hpp"
#include "cases.hpp"
#include "logits.hpp"

// What a draw reads from rows of logits: the statistics that every policy has, and a token.

namespace bench {
namespace {

// The statistics alone, as a draw: what every other one has besides.
struct only_statistics {};

template <class T, class Draw>
unmask::detail::row_result read(const Draw& draw, std::span<const T> row, unmask::index_t number,
                                unmask::draw_scratch& scratch) {
    if constexpr (std::same_as<Draw, only_statistics>) {
        return {unmask::statistics_of(row), {}};
    } else {
        const auto word = static_cast<std::uint32_t>(number);
        return unmask::detail::reduce_row(draw, row, unmask::uniform_open(word * 0x9E3779B9U, word), scratch);
    }
}

double seconds_of(const auto& call) {
    const auto begin = std::chrono::steady_clock::now();
    call();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// Rows that only memory has. Each pass is followed by one that only reads, because a machine's bandwidth is not the
// same for long.
template <class T, class Draw>
void run_in_memory(benchmark::State& state, const options& options, const Draw& draw) {
    const logit_rows<T> logits(row_count, vocabulary_size);
    const unmask::cpu_executor exec{options.threads};
    std::vector<unmask::draw_scratch> scratch(static_cast<std::size_t>(exec.workers()));
    std::vector<unmask::detail::row_result> results(row_count);
    const auto call = [&] {
        exec.parallel_for(row_count, [&](unmask::index_t i, int worker) {
            results[static_cast<std::size_t>(i)] =
                read(draw, logits.row(i), i, scratch[static_cast<std::size_t>(worker)]);
        });
    };
    const auto* floats = reinterpret_cast<const float*>(logits.all().data());
    const std::span<const float> all{floats, logits.all().size_bytes() / sizeof(float)};
    call();
    std::vector<double> fractions;
    double bandwidth = 0;
    for (auto _ : state) {
        const double seconds = seconds_of(call);
        const double reading = seconds_of([&] { read_once(options.threads, all); });
        state.SetIterationTime(seconds);
        fractions.push_back(reading / seconds);
        bandwidth = std::max(bandwidth, static_cast<double>(all.size_bytes()) / reading);
    }
    using benchmark::Counter;
    const auto middle = fractions.begin() + static_cast<std::ptrdiff_t>(fractions.size() / 2);
    std::nth_element(fractions.begin(), middle, fractions.end());
    state.counters["bytes_a_second"] =
        Counter(static_cast<double>(all.size_bytes()), Counter::kIsIterationInvariantRate);
    state.counters["bandwidth_fraction"] = *middle;
    state.counters["bandwidth"] = bandwidth;
}

// One row over and over, on one core: compute alone.
template <class T, class Draw>
void run_in_cache(benchmark::State& state, unmask::index_t vocabulary, const Draw& draw) {
    const logit_rows<T> logits(1, vocabulary);
    unmask::draw_scratch scratch;
    for (auto _ : state) {
        benchmark::DoNotOptimize(read(draw, logits.row(0), 0, scratch));
    }
    using benchmark::Counter;
    state.counters["seconds_a_logit"] =
        Counter(static_cast<double>(vocabulary), Counter::kIsIterationInvariantRate | Counter::kInvert);
}

template <class T, class Draw>
void add(const options& options, const std::string& name, const Draw& draw) {
    const std::string sizes = "/rows:256/vocabulary:126464/threads:" + std::to_string(options.threads);
    benchmark::RegisterBenchmark(("rows/" + name + sizes).c_str(),
                                 [=](benchmark::State& state) { run_in_memory<T>(state, options, draw); })
        ->UseManualTime()
        ->Unit(benchmark::kMillisecond);
    for (const unmask::index_t vocabulary : {unmask::index_t{4096}, vocabulary_size}) {
        benchmark::RegisterBenchmark(
            ("rows_in_cache/" + name + "/vocabulary:" + std::to_string(vocabulary) + "/threads:1").c_str(),
            [=](benchmark::State& state) { run_in_cache<T>(state, vocabulary, draw); })
            ->UseRealTime()
            ->Unit(benchmark::kMicrosecond);
    }
}

} // namespace

void add_rows(const options& options) {
    add<float>(options, "fp32/statistics", only_statistics{});
    add<float>(options, "fp32/greedy", unmask::greedy{});
    add<float>(options, "fp32/categorical", unmask::categorical{});
    add<float>(options, "fp32/categorical_0.7", unmask::categorical{.temperature = 0.7});
    add<float>(options, "fp32/top_k_50", unmask::categorical{.temperature = 0.7, .top_k = 50});
    add<float>(options, "fp32/top_p_0.9", unmask::categorical{.temperature = 0.7, .top_p = 0.9});
    add<unmask::bfloat16>(options, "bf16/greedy", unmask::greedy{});
    add<unmask::bfloat16>(options, "bf16/categorical", unmask::categorical{});
}

} // namespace bench
