// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include "../parsed.hpp"

namespace ptx {

// Makes one fma of a mul and an add or sub that say no rounding, as PTX allows and ptxas does by default: here wherever
// the sum is all that a product goes into. How many there were.
int contract(function& f);

// Whether an instruction's first operand is its result.
bool has_result(const statement& s);

} // namespace ptx
