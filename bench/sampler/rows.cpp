// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <span>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include <unmask/executor/cpu_executor.hpp>
#include <unmask/random/philox.hpp>
#include <unmask/sampler/draw/draw.hpp>

#include "../support/read_bandwidth.hpp"
#include "cases.hpp"
#include "logits.hpp"

// What a draw reads from rows of logits: the statistics that every policy has, and a token.

namespace bench {
namespace {

template <class T, class Draw>
void run(benchmark::State& state, const options& options, const Draw& draw) {
    const logit_rows<T> logits;
    const unmask::cpu_executor exec{options.threads};
    std::vector<unmask::draw_scratch> scratch(static_cast<std::size_t>(exec.workers()));
    std::vector<unmask::detail::row_result> results(row_count);
    const auto call = [&] {
        exec.parallel_for(row_count, [&](unmask::index_t i, int worker) {
            const auto word = static_cast<std::uint32_t>(i);
            results[static_cast<std::size_t>(i)] =
                unmask::detail::reduce_row(draw, logits.row(i), unmask::uniform_open(word * 0x9E3779B9U, word),
                                           scratch[static_cast<std::size_t>(worker)]);
        });
    };
    call();
    const auto* floats = reinterpret_cast<const float*>(logits.all().data());
    const double bandwidth = read_bandwidth(options.threads, {floats, logits.all().size_bytes() / sizeof(float)});
    for (auto _ : state) {
        call();
        benchmark::ClobberMemory();
    }
    using benchmark::Counter;
    const auto bytes = static_cast<double>(logits.all().size_bytes());
    state.counters["bytes_a_second"] = Counter(bytes, Counter::kIsIterationInvariantRate);
    state.counters["bandwidth_fraction"] = Counter(bytes / bandwidth, Counter::kIsIterationInvariantRate);
    state.counters["bandwidth"] = bandwidth;
}

template <class T, class Draw>
void add(const options& options, const char* name, const Draw& draw) {
    const std::string sizes = "/rows:256/vocabulary:126464/threads:" + std::to_string(options.threads);
    benchmark::RegisterBenchmark(("rows/" + std::string(name) + sizes).c_str(),
                                 [=](benchmark::State& state) { run<T>(state, options, draw); })
        ->UseRealTime()
        ->Unit(benchmark::kMillisecond);
}

} // namespace

void add_rows(const options& options) {
    add<float>(options, "fp32/greedy", unmask::greedy{});
    add<float>(options, "fp32/categorical", unmask::categorical{});
    add<float>(options, "fp32/categorical_0.7", unmask::categorical{.temperature = 0.7});
    add<float>(options, "fp32/top_k_50", unmask::categorical{.temperature = 0.7, .top_k = 50});
    add<float>(options, "fp32/top_p_0.9", unmask::categorical{.temperature = 0.7, .top_p = 0.9});
    add<unmask::bfloat16>(options, "bf16/greedy", unmask::greedy{});
    add<unmask::bfloat16>(options, "bf16/categorical", unmask::categorical{});
}

} // namespace bench
