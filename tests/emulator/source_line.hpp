// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <string>

namespace emulator {

/// " at file:line" of the call that returns to this instruction, or its address where that cannot be found out.
std::string source_line(const void* code);

} // namespace emulator
