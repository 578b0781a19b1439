// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

// The device's memory. Two views of the same pages: programs get addresses in one that the host may not touch, so that
// following a device pointer on the host faults, and the machine reads and writes through the other. Every access of a
// kernel is checked against the table of live allocations.
namespace ptx {

struct allocation {
    std::uint64_t begin, end; // as kernels see it
    std::uint64_t shift;      // added to an address, leads to the bytes
    bool is_device;           // else memory of the host that kernels may use
    bool live;                // else freed
};
using allocation_table = std::vector<allocation>; // by rising address

// Generic addresses of shared memory, and of a thread's local memory.
inline constexpr std::uint64_t shared_window = 0x00000a0000000000ULL;
inline constexpr std::uint64_t local_window = 0x00000b0000000000ULL;
inline constexpr std::uint64_t window_size = std::uint64_t{1} << 32;

class device_memory {
public:
    static device_memory& get();

    // Aligned to a page; null if there is no more.
    void* allocate(std::size_t bytes);
    // The host's own, at the same address for both.
    void* allocate_mapped(std::size_t bytes);
    // False: no live allocation begins there.
    bool release(void* address);
    // Fills a whole allocation with NaN.
    void poison(void* address);

    // The machine's view of `bytes` that kernels may use, or null.
    [[nodiscard]] char* reach(const void* address, std::size_t bytes) const;
    // Whether an address is the device's, live or not.
    [[nodiscard]] bool is_device(const void* address) const;
    [[nodiscard]] std::shared_ptr<const allocation_table> snapshot() const;
    [[nodiscard]] int live_allocations() const;

private:
    device_memory();
    void insert(const allocation& made);

    mutable std::mutex mutex_;
    std::shared_ptr<const allocation_table> table_;
    char* program_view_ = nullptr; // without access
    char* machine_view_ = nullptr;
    std::size_t used_ = 0;
};

// The allocation that holds an address, or the last that begins before it; null: there is none.
const allocation* find_allocation(const allocation_table& table, std::uint64_t address);

} // namespace ptx
