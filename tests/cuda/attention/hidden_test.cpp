// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "../../attention/hidden.hpp"
#include "on_device.hpp"

using namespace test;

TEST_CASE("a row's bits are the same whatever a hidden key holds") {
    check_every_mask_hides<on_device, no_sink, float>(41);
    check_every_mask_hides<on_device, no_sink, bfloat16>(42);
    check_every_mask_hides<on_device, key_value_sink, bfloat16>(43);
}

TEST_CASE("a row that sees NaN says so, in everything that depends on it") {
    check_nan_is_told<on_device, float>(47);
    check_nan_is_told<on_device, bfloat16>(48);
}
