// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "attention/cases.hpp"
#include "support/program.hpp"

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

int main(int argc, char** argv) {
    return bench::run_program(argc, argv, "bench_attention", [](const bench::options& options) {
        bench::add_forward_bidirectional(options);
        bench::add_forward_masks(options);
        bench::add_forward_sinks(options);
        bench::add_forward_16_bit(options);
        bench::add_backward(options);
        bench::add_received(options);
    });
}
