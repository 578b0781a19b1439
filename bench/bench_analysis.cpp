// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include <unmask/sampler/presets.hpp>

#include "analysis/transformer.hpp"
#include "support/program.hpp"

// What a sink_tracker costs: 16 calls of a transformer by the sampler, two texts of 256 positions, where the model has
//
//   tracker/no_hook      nothing for the tracker
//   tracker/off          the hook, and no tracker
//   tracker/on           a tracker, which records every call
//   tracker/on_streams   the same, and how alike the positions are in each layer
//   tracker/every_4      a tracker that records every fourth call
//
//   of_no_hook           time, of the model without a hook run beside it: the median
//   bytes_a_call         of the records
//
// --threads=N (2 if not given).

namespace {

using unmask::index_t;

constexpr index_t length = 256;
constexpr index_t texts = 2;
constexpr index_t calls = 16;

template <bench::hook Hook, class... Observer>
double seconds_of(const unmask::cpu_executor& exec, bench::transformer<Hook>& model, Observer&... observer) {
    unmask::canvas page(model.vocabulary());
    for (index_t i = 0; i < texts; ++i) {
        page.add({}, length);
    }
    const auto sampler = unmask::presets::llada({.steps = calls, .block_length = length, .temperature = 0.7});
    const auto begin = std::chrono::steady_clock::now();
    sampler(exec, model, page, 1, observer...);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

index_t bytes_of(const unmask::sink_tracker& tracker) {
    index_t bytes = 0;
    for (const unmask::sink_record& record : tracker.records()) {
        bytes += std::ssize(record.received) * 4 + std::ssize(record.value_norms) * 4 + std::ssize(record.seen_by) * 8 +
                 std::ssize(record.tokens) * 4 + std::ssize(record.masked) + std::ssize(record.similarity) * 8;
    }
    return bytes;
}

template <bench::hook Hook>
void run(benchmark::State& state, const bench::options& options, bool on, index_t every) {
    const unmask::cpu_executor exec{options.threads};
    bench::transformer<bench::hook::absent> plain(exec, texts, length);
    bench::transformer<Hook> model(exec, texts, length);
    unmask::sink_tracker tracker({.every = every});
    model.tracker = on ? &tracker : nullptr;
    const auto judged = [&] {
        tracker.clear();
        return on ? seconds_of(exec, model, tracker) : seconds_of(exec, model);
    };
    std::vector<double> ratios;
    for (auto _ : state) {
        double seconds[2]; // without a hook, and with; each goes first every other time
        for (const std::size_t i : {ratios.size() % 2, (ratios.size() + 1) % 2}) {
            seconds[i] = i == 0 ? seconds_of(exec, plain) : judged();
        }
        state.SetIterationTime(seconds[1]);
        ratios.push_back(seconds[1] / seconds[0]);
    }
    const auto middle = ratios.begin() + std::ssize(ratios) / 2;
    std::nth_element(ratios.begin(), middle, ratios.end());
    state.counters["of_no_hook"] = *middle;
    state.counters["bytes_a_call"] = static_cast<double>(bytes_of(tracker)) / calls;
}

template <bench::hook Hook>
void add(const bench::options& options, const char* what, bool on, index_t every = 1) {
    const std::string name =
        "tracker/" + std::string(what) + "/length:256/layers:5/width:192/threads:" + std::to_string(options.threads);
    benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) { run<Hook>(state, options, on, every); })
        ->UseManualTime()
        ->Unit(benchmark::kMillisecond);
}

} // namespace

int main(int argc, char** argv) {
    return bench::run_program(argc, argv, "bench_analysis", [](const bench::options& options) {
        add<bench::hook::absent>(options, "no_hook", false);
        add<bench::hook::attention>(options, "off", false);
        add<bench::hook::attention>(options, "on", true);
        add<bench::hook::streams>(options, "on_streams", true);
        add<bench::hook::attention>(options, "every_4", true, 4);
    });
}
