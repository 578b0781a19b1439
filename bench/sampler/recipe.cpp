// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <random>
#include <span>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include <unmask/executor/cpu_executor.hpp>

#include "cases.hpp"
#include "logits.hpp"

// LLaDA's add_gumbel_noise and softmax, as its generate.py has them, in double: a token by exp(l) / (−log u)^T, and its
// probability.

namespace bench {
namespace {

struct chosen {
    unmask::token_t token;
    double probability;
};

chosen choose(std::span<const float> logits, double temperature, std::mt19937_64& random, std::vector<double>& p) {
    chosen result{0, 0};
    double highest = -INFINITY;
    for (std::size_t v = 0; v < logits.size(); ++v) {
        const double uniform = static_cast<double>((random() >> 11) + 1) * 0x1p-53;
        const double noise = std::pow(-std::log(uniform), temperature);
        const double value = std::exp(static_cast<double>(logits[v])) / noise;
        if (value > highest) {
            highest = value;
            result.token = static_cast<unmask::token_t>(v);
        }
    }
    double most = -INFINITY;
    for (const float logit : logits) {
        most = std::max(most, static_cast<double>(logit));
    }
    double sum = 0;
    for (std::size_t v = 0; v < logits.size(); ++v) {
        p[v] = std::exp(static_cast<double>(logits[v]) - most);
        sum += p[v];
    }
    result.probability = p[static_cast<std::size_t>(result.token)] / sum;
    return result;
}

void run(benchmark::State& state, const options& options, double temperature) {
    const logit_rows<float> logits(row_count, vocabulary_size);
    const unmask::cpu_executor exec{options.threads};
    std::vector<std::mt19937_64> random(static_cast<std::size_t>(exec.workers()));
    std::vector<std::vector<double>> p(static_cast<std::size_t>(exec.workers()), std::vector<double>(vocabulary_size));
    std::vector<chosen> results(row_count);
    for (auto _ : state) {
        exec.parallel_for(row_count, [&](unmask::index_t i, int worker) {
            const auto at = static_cast<std::size_t>(worker);
            results[static_cast<std::size_t>(i)] = choose(logits.row(i), temperature, random[at], p[at]);
        });
        benchmark::ClobberMemory();
    }
    state.counters["bytes_a_second"] = benchmark::Counter(static_cast<double>(logits.all().size_bytes()),
                                                          benchmark::Counter::kIsIterationInvariantRate);
}

} // namespace

void add_recipe(const options& options) {
    const std::string name = "recipe/llada/rows:256/vocabulary:126464/threads:" + std::to_string(options.threads);
    benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) { run(state, options, 1.0); })
        ->UseRealTime()
        ->Unit(benchmark::kMillisecond);
}

} // namespace bench
