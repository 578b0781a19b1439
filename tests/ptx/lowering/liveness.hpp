// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <vector>

#include "../parsed.hpp"

namespace ptx {

struct register_uses {
    std::vector<int> defined, used;
};

// The statements between which a register holds a value that is still needed; last < first: none.
struct live_range {
    int first, last;
};

// `uses` is of the function's statements.
std::vector<live_range> live_ranges(const function& f, const std::vector<register_uses>& uses, std::size_t registers);

// Where registers are kept: each has a slot of its class, and one whose range has ended may have had it before.
struct slots {
    std::vector<int> of_register; // −1: none
    std::vector<int> count;       // by class
};
slots share_slots(const std::vector<live_range>& ranges, const std::vector<int>& classes, int class_count);

} // namespace ptx
