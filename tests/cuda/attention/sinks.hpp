// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include "../../attention/matrix.hpp"
#include "on_device.hpp"

namespace test {

// Every mask with a sink, and random problems.
template <class Sink>
void check_sink(unsigned seed) {
    check_every_mask<on_device, Sink, bfloat16>();
    check_random<on_device, Sink, bfloat16>(seed, 12);
    check_random<on_device, Sink, float>(seed + 100, 8);
}

} // namespace test
