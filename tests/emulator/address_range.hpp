// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "emulator.hpp"

// All that kernels share lies in one range of reserved addresses: first the shared memory of the blocks that run, then
// device memory. So one comparison tells the accesses that matter from the many to stacks and to the host's memory.
// What is not handed out cannot be touched even by code that is not instrumented.
namespace emulator {

struct address_range {
    std::uintptr_t begin = 0;
    std::size_t size = 0;

    [[nodiscard]] bool contains(const void* pointer) const {
        return reinterpret_cast<std::uintptr_t>(pointer) - begin < size;
    }
};

inline constexpr std::size_t shared_slot = std::size_t{1} << 20;
inline constexpr std::size_t shared_slots = 256;

/// Empty until memory is first asked for.
inline constinit address_range everything{};
inline constinit address_range shared_part{};

/// A place for a block's shared memory, with inaccessible pages on both sides: its end.
std::byte* new_shared_slot();

/// What is wrong with an access to device memory.
struct bad_access {
    fault_kind kind;
    std::string where;
};
std::optional<bad_access> check_device_access(const void* pointer, std::size_t bytes);

} // namespace emulator
