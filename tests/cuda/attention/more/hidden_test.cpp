// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "../../../attention/hidden.hpp"
#include "../on_device.hpp"

using namespace test;

TEST_CASE("a row's bits are the same whatever a hidden key holds, in float16") {
    check_every_mask_hides<on_device, key_value_sink, float16>(44);
}
