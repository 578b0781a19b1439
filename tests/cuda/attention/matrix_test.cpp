// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// The test matrix on cuda_executor: every mask, sink, element type and head dimension, on ragged batches with grouped
// heads and tails; and random problems.

#include <doctest/doctest.h>

#include "../../attention/matrix.hpp"
#include "on_device.hpp"

namespace {

using namespace test;

template <class Sink>
void check_sink(unsigned seed) {
    check_every_mask<on_device, Sink, bfloat16>();
    check_random<on_device, Sink, bfloat16>(seed, 12);
    check_random<on_device, Sink, float>(seed + 100, 8);
}

} // namespace

TEST_CASE("every mask, no sink") {
    check_sink<no_sink>(1);
}
TEST_CASE("every mask, off_by_one_sink") {
    check_sink<off_by_one_sink>(2);
}
TEST_CASE("every mask, logit_sink") {
    check_sink<logit_sink>(3);
}
TEST_CASE("every mask, key_sink") {
    check_sink<key_sink>(4);
}
TEST_CASE("every mask, key_value_sink") {
    check_sink<key_value_sink>(5);
}
TEST_CASE("every mask in float") {
    check_every_mask<on_device, key_value_sink, float>();
}
TEST_CASE("every mask in float16") {
    check_every_mask<on_device, key_value_sink, float16>();
}
