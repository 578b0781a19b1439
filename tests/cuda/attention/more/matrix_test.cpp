// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// What matrix_test.cpp does, with more sinks and in float16.

#include <doctest/doctest.h>

#include "../sinks.hpp"

using namespace test;

TEST_CASE("every mask, off_by_one_sink") {
    check_sink<off_by_one_sink>(2);
}
TEST_CASE("every mask, logit_sink") {
    check_sink<logit_sink>(3);
}
TEST_CASE("every mask, key_sink") {
    check_sink<key_sink>(4);
}
TEST_CASE("every mask in float16") {
    check_every_mask<on_device, key_value_sink, float16>();
}
