// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "../../../attention/extremes.hpp"
#include "../on_device.hpp"

using namespace test;

TEST_CASE("a sink of −∞ is none, in bfloat16") {
    check_sinks_of_minus_infinity<on_device, bfloat16>();
}
