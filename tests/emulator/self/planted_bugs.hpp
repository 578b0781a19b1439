// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "emulator.hpp"

namespace test {

struct arrays {
    const float* in; // threads × 4 numbers
    float* out;      // threads numbers
};
using kernel = void (*)(arrays);

inline constexpr int bug_threads = 64;
inline constexpr std::size_t bug_shared_bytes = 16 * bug_threads;

/// A mistake, and the same kernel without it.
struct planted_bug {
    std::string name;
    emulator::fault_kind kind;
    kernel wrong;
    kernel right;
};
extern const std::vector<planted_bug> planted_bugs;

/// Reads in[0] … in[63] and writes out[0] … out[63].
extern const kernel well_behaved;

/// Code that the tests, which are not watched, have a copy of.
template <class T>
[[gnu::noinline]] void store(T* to, T value) {
    *to = value;
}

} // namespace test
