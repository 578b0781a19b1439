// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

namespace emulator {

/// The host's instrumented code has touched device memory, which on a GPU's machine ends the program.
void note_host_access(const void* code);

} // namespace emulator
