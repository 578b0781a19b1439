// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <algorithm>
#include <cstdint>
#include <string>

#include <benchmark/benchmark.h>

#include <unmask/sampler/presets.hpp>

#include "block_denoiser.hpp"
#include "support/program.hpp"

// A whole generation by the language model of examples/, block by block, with an exact cache of keys and values and
// without: the same tokens. 512 characters in blocks of 32, two texts.
//
//   tokens_a_second    written
//
// --threads=N (2 if not given).

namespace {

constexpr unmask::index_t length = 512;
constexpr unmask::index_t block = 32;

unmask::canvas empty_page(const unmask::vocabulary& tokens) {
    unmask::canvas page(tokens);
    page.add({}, length);
    page.add({}, length);
    return page;
}

const auto sampler = unmask::presets::llada2({.steps = block, .block_length = block, .temperature = 0.7});

template <class Model>
void run(benchmark::State& state, const bench::options& options) {
    const unmask::cpu_executor exec{options.threads};
    const unmask::safetensors_file file = unmask::read_safetensors(CHECKPOINT);
    Model model(file, exec, block, length);
    unmask::index_t tokens = 0;
    unmask::canvas page = empty_page(model.vocabulary());
    for (auto _ : state) {
        page = empty_page(model.vocabulary());
        tokens += sampler(exec, model, page, 1).committed;
    }
    language_model::recomputing_block_language_model judge(file, exec, block, length);
    unmask::canvas expected = empty_page(model.vocabulary());
    sampler(exec, judge, expected, 1);
    if (!std::equal(page.tokens().begin(), page.tokens().end(), expected.tokens().begin())) {
        state.SkipWithError("the cache changed the text");
    }
    state.counters["tokens_a_second"] = benchmark::Counter(static_cast<double>(tokens), benchmark::Counter::kIsRate);
}

template <class Model>
void add(const bench::options& options, const char* cache) {
    const std::string name =
        "decoding/" + std::string(cache) + "/length:512/block:32/threads:" + std::to_string(options.threads);
    benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) { run<Model>(state, options); })
        ->UseRealTime()
        ->Unit(benchmark::kMillisecond);
}

} // namespace

int main(int argc, char** argv) {
    return bench::run_program(argc, argv, "bench_decoding", [](const bench::options& options) {
        add<language_model::block_language_model>(options, "kv_cache");
        add<language_model::recomputing_block_language_model>(options, "recomputed");
    });
}
