// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// The test matrix on cuda_executor: every mask and head dimension, on ragged batches with grouped heads and tails; and
// random problems. More sinks and element types: more/matrix_test.cpp.

#include <doctest/doctest.h>

#include "sinks.hpp"

using namespace test;

TEST_CASE("every mask, no sink") {
    check_sink<no_sink>(1);
}
TEST_CASE("every mask, key_value_sink") {
    check_sink<key_value_sink>(5);
}
TEST_CASE("every mask in float") {
    check_every_mask<on_device, key_value_sink, float>();
}
