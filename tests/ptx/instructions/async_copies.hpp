// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include "../warp.hpp"

namespace ptx {

// What a warp that ends never waited for.
void land_all(warp& w);

} // namespace ptx
