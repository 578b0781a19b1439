// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <charconv>
#include <cstdio>
#include <string_view>

#include <benchmark/benchmark.h>

#include "attention/cases.hpp"

// Attention on the CPU. Every case is named direction/type/mask/sink/sizes; --benchmark_filter picks by that name.
//
//   useful_flops    operations a second: 4 · head_dim a visible score forward, 2.5 times that backward, half of it for
//                   what keys receive; so a mask is credited only for what it shows
//   peak_fraction   that, of what multiplying and adding in registers reaches on as many threads, measured just before
//   visited_tiles   of 64 × 64 scores, a head: what the mask makes any implementation look at
//   visible_share   of all scores
//   bytes           of inputs and outputs together
//   extra_mib       the most memory that one call took besides them
//
// --threads=N (2 if not given) is for the cases that don't compare threads. --dump=FOLDER writes into a folder what the
// last case read and wrote.

namespace {

#if defined(NDEBUG)
constexpr bool optimised = true;
#else
constexpr bool optimised = false;
#endif

bool parse(std::string_view argument, bench::options& options) {
    constexpr std::string_view threads = "--threads=";
    constexpr std::string_view dump = "--dump=";
    if (argument.starts_with(dump)) {
        options.dump = argument.substr(dump.size());
        return true;
    }
    const char* end = argument.data() + argument.size();
    return argument.starts_with(threads) &&
           std::from_chars(argument.data() + threads.size(), end, options.threads).ptr == end && options.threads > 0;
}

const char* instruction_set() {
#if defined(__AVX512F__)
    return "avx512";
#elif defined(__AVX2__) && defined(__FMA__)
    return "avx2";
#else
    return "x86-64";
#endif
}

} // namespace

int main(int argc, char** argv) {
    if (!optimised) {
        std::fputs("bench_attention: this is not a Release build, its numbers would mean nothing\n", stderr);
        return 1;
    }
    benchmark::Initialize(&argc, argv);
    bench::options options;
    for (int i = 1; i < argc; ++i) {
        if (!parse(argv[i], options)) {
            std::fprintf(stderr, "bench_attention: cannot read %s\n", argv[i]);
            return 1;
        }
    }
    bench::add_forward_bidirectional(options);
    bench::add_forward_masks(options);
    bench::add_forward_sinks(options);
    bench::add_forward_16_bit(options);
    bench::add_backward(options);
    bench::add_received(options);

    benchmark::AddCustomContext("compiler", __VERSION__);
    benchmark::AddCustomContext("instruction_set", instruction_set());
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
