// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <string>

#include <cuda_runtime_api.h>

#include "../machine.hpp"

namespace ptx {

// Remembers an error of this thread's for cudaGetLastError, and returns it.
cudaError_t failed(cudaError_t code);
// A kernel's fault, after which nothing works any more; else success.
cudaError_t state_of_device();
// What a call that did its part returns: it tells of faults before it.
inline cudaError_t done() {
    return failed(state_of_device());
}
inline bool has_faulted() {
    return state_of_device() != cudaSuccess;
}
// Keeps a fault, if it is the first, and prints it.
void report(const fault& found);

// Ends the program: what it asks for is beyond the machine.
[[noreturn]] void give_up(const std::string& what);

std::string demangled(const std::string& name);

} // namespace ptx
