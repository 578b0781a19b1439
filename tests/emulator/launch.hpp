// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <functional>

// What the emulated runtime.cuh calls.
namespace emulator {

struct grid {
    int blocks = 0;
    int threads = 0;
    std::size_t shared_bytes = 0;
};

/// Whether the device can run this at all.
bool is_possible(const grid& size);

/// How many such blocks a multiprocessor holds at once.
int resident_blocks(const grid& block);

/// Runs the kernel in every thread of every block, and returns when all are done. Throws fault.
void launch(const grid& size, const std::function<void()>& kernel);

/// The host's watched code has touched device memory, which with a GPU would end the program. The next launch throws
/// it.
void note_host_access(const void* code);

} // namespace emulator
