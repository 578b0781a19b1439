// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "sampler/cases.hpp"
#include "support/program.hpp"

// The sampler on the CPU, apart from any model. Every case is named what/sizes; --benchmark_filter picks by that name.
//
//   rows/…                 what is read from a row of logits: statistics, and a token by a draw
//   recipe/…               the same in the way that samplers in the field have it
//   step/…                 a whole step with a model that costs nothing
//
//   bytes_a_second         of logits
//   bandwidth_fraction     that, of what as many threads reach by reading alone, measured just before
//   seconds_a_row          of a step
//
// --threads=N (2 if not given).

int main(int argc, char** argv) {
    return bench::run_program(argc, argv, "bench_sampler", [](const bench::options& options) {
        bench::add_rows(options);
        bench::add_recipe(options);
        bench::add_steps(options);
    });
}
