// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "emulator.hpp"

// Finds races in a block's shared memory: accesses to the same bytes, one of them a write, that no barrier orders, in
// whatever order the fibers happen to run.
//
// Only barriers of the block and of a warp order accesses. So one clock a warp is enough, in place of a vector clock a
// thread: it advances at every barrier of the warp, and a barrier of the block sets all clocks to one later time. An
// access came before all that thread t does now if t made it, or it is older than the block's last barrier, or it was
// made in t's warp and is older than the warp's clock.
namespace emulator {

// Threads may well share a word, but hardly a 16-bit number.
inline constexpr std::size_t bytes_a_cell = 2;

enum class access_kind { read, write, copy };

struct shared_access {
    std::size_t offset;
    std::size_t bytes;
    int thread;
    const void* code; // the instruction that does it
};

/// Why an access is wrong, and with whose earlier one it is at odds.
struct conflict {
    fault_kind kind;
    int thread;
    const void* code;
    access_kind earlier;
};

class race_detector {
public:
    /// A new block: nobody has written anything.
    void begin_block(std::size_t shared_bytes);
    void block_barrier();
    void warp_barrier(int warp) { ++clocks_[static_cast<std::size_t>(warp)]; }

    std::optional<conflict> read(const shared_access& access);
    std::optional<conflict> write(const shared_access& access);

    /// A write that takes place at some time between the two calls.
    std::optional<conflict> begin_copy(const shared_access& access);
    void end_copy(const shared_access& access);

private:
    struct record {
        std::uint32_t clock = 0; // of the thread's warp
        std::int32_t code = 0;   // its distance from a fixed one
        std::int16_t thread = 0;
        bool in_flight = false;
    };
    // The last write, and as many reads as it takes to know whether a write by any thread would race with one: the
    // last, and the last by another thread, best of another warp.
    struct cell {
        record written;
        record read;
        record also_read;
    };

    [[nodiscard]] bool is_unordered(const record& before, int thread) const;
    [[nodiscard]] record now(const shared_access& access) const;
    void remember_read(cell& where, const record& read) const;
    std::optional<conflict> check_write(const shared_access& access);
    std::span<cell> cells_of(const shared_access& access);
    [[nodiscard]] std::optional<conflict> conflict_with_write(const record& written, int thread) const;

    std::array<std::uint32_t, 32> clocks_{};
    std::uint32_t block_start_ = 1;
    std::uint32_t last_barrier_ = 1;
    std::vector<cell> cells_;
};

} // namespace emulator
