// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "matrix.hpp"
#include "on_cpu.hpp"

using namespace test;

// Forward, backward and received attention of the CPU kernels on bfloat16, against the reference in double.

TEST_CASE_TEMPLATE("bfloat16: every mask at every head dimension", Sink, no_sink, off_by_one_sink, logit_sink, key_sink,
                   key_value_sink) {
    check_every_mask<on_cpu, Sink, bfloat16>();
}

TEST_CASE_TEMPLATE("bfloat16: random shapes and options", Sink, no_sink, off_by_one_sink, logit_sink, key_sink,
                   key_value_sink) {
    check_random<on_cpu, Sink, bfloat16>(20260123U, 40);
}
