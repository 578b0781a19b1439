// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include <benchmark/benchmark.h>

#include "options.hpp"

namespace bench {

namespace detail {

#if defined(NDEBUG)
inline constexpr bool optimised = true;
#else
inline constexpr bool optimised = false;
#endif

inline bool parse(std::string_view argument, options& options) {
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

inline const char* instruction_set() {
#if defined(__AVX512F__)
    return "avx512";
#elif defined(__AVX2__) && defined(__FMA__)
    return "avx2";
#else
    return "x86-64";
#endif
}

} // namespace detail

/// What a benchmark program does: reads the command line, lets `add(options)` register cases, runs those asked for. The
/// reporter is that of the command line, if none is given.
template <class Add>
int run_program(int argc, char** argv, const char* name, const Add& add,
                benchmark::BenchmarkReporter* reporter = nullptr) {
    if (!detail::optimised) {
        std::fprintf(stderr, "%s: this is not a Release build, its numbers would mean nothing\n", name);
        return 1;
    }
    benchmark::Initialize(&argc, argv);
    options options;
    for (int i = 1; i < argc; ++i) {
        if (!detail::parse(argv[i], options)) {
            std::fprintf(stderr, "%s: cannot read %s\n", name, argv[i]);
            return 1;
        }
    }
    add(options);
    benchmark::AddCustomContext("compiler", __VERSION__);
    benchmark::AddCustomContext("instruction_set", detail::instruction_set());
    if (reporter != nullptr) {
        benchmark::RunSpecifiedBenchmarks(reporter);
    } else {
        benchmark::RunSpecifiedBenchmarks();
    }
    return 0;
}

} // namespace bench
