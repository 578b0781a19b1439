// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

// What the emulated device.cuh calls: all that needs to know the thread that runs. Kernels may call it, nobody else.
namespace emulator {

/// Where a kernel calls a collective function: as a default argument, the line of the call.
struct call_site {
    const char* file = "";
    int line = 0;

    static constexpr call_site here(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
        return {file, line};
    }
};

int thread();
int block();
std::byte* shared_memory();

void barrier(call_site where);
/// A barrier of a block of so many threads, each of which brings something; the last to come works on all of it.
void meet_in_block(const char* call, int threads, void* brought, call_site where,
                   const std::function<void(void* const* brought)>& work);
void warp_barrier(call_site where);
/// Values of up to 8 bytes, exchanged in place.
void shuffle_xor(void* value, std::size_t bytes, int mask, call_site where);
void shuffle(void* value, std::size_t bytes, std::uint32_t from, call_site where);
std::uint32_t ballot(bool vote, call_site where);

void load(void* to, const void* from_global, std::size_t bytes);
void copy_async(void* to_shared, const void* from_global, bool valid);
void copy_16_bytes(void* to_global, const void* from_shared);
void commit_copies();
void wait_copies(int pending);

void load_matrices(std::uint32_t (&result)[4], const void* row, bool transposed, call_site where);

enum class half { bfloat16, float16 };
void multiply_add(half type, float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1,
                  call_site where);

} // namespace emulator
