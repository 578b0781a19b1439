// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstdint>

namespace ptx {

// cudaGraphSetConditional of device code: see runtime/graphs.cpp.
void set_graph_condition(std::uint64_t handle, unsigned value);

} // namespace ptx
