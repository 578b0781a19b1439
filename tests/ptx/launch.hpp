// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "kernel.hpp"
#include "machine.hpp"

namespace ptx {

struct dimensions {
    unsigned x = 1, y = 1, z = 1;
    [[nodiscard]] std::uint64_t all() const { return std::uint64_t{x} * y * z; }
};

struct kernel_launch {
    const lowered_kernel* kernel = nullptr;
    dimensions grid, block;
    std::uint64_t dynamic_shared = 0;
    std::vector<std::uint8_t> parameters;
    settings how;
};

// Runs a kernel to its end. Throws fault.
void run_kernel(const kernel_launch& launch);

// For messages.
std::string hexadecimal(std::uint64_t value);

} // namespace ptx
