// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <optional>

#include "machine.hpp"

// What the machine's parts tell each other: machine.hpp has the side that tests see.
namespace ptx {

void count(const counters& more);

// Keeps a fault until take_fault() is called; false: there is an earlier one.
bool keep_fault(const fault& found);
std::optional<fault_kind> pending_fault();

} // namespace ptx
