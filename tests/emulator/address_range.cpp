// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "address_range.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <map>
#include <new>

#include <sys/mman.h>

namespace emulator {
namespace {

constexpr std::size_t page = 4096;
constexpr std::size_t gap = 16 * page; // wider than what most kernels run over
constexpr std::size_t device_size = std::size_t{1} << 36;

std::size_t round_up(std::size_t bytes, std::size_t unit) {
    return (bytes + unit - 1) / unit * unit;
}
std::byte* pointer_to(std::uintptr_t address) {
    return reinterpret_cast<std::byte*>(address);
}
std::uintptr_t address_of(const void* pointer) {
    return reinterpret_cast<std::uintptr_t>(pointer);
}

void reserve() {
    const std::size_t shared_size = shared_slots * shared_slot;
    void* const memory =
        mmap(nullptr, shared_size + device_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        throw std::bad_alloc();
    }
    everything = {address_of(memory), shared_size + device_size};
    shared_part = {everything.begin, shared_size};
}

bool make_accessible(std::uintptr_t begin, std::size_t bytes) {
    return bytes == 0 || mprotect(pointer_to(begin), bytes, PROT_READ | PROT_WRITE) == 0;
}

// Addresses are not used twice, so that what was released is known for ever.
struct device_memory {
    struct allocation {
        std::size_t bytes;
        bool live;
    };
    std::map<std::uintptr_t, allocation> allocations;
    std::uintptr_t next = 0;
    int live = 0;

    device_memory() {
        reserve();
        next = shared_part.begin + shared_part.size + gap;
    }
};

device_memory& device() {
    static device_memory memory;
    return memory;
}

} // namespace

void* allocate(std::size_t bytes) {
    device_memory& memory = device();
    const std::size_t size = round_up(bytes, page);
    const std::uintptr_t begin = memory.next;
    if (size > everything.begin + everything.size - begin - gap || !make_accessible(begin, size)) {
        return nullptr;
    }
    memory.next += size + gap;
    ++memory.live;
    // At the end of its pages, so that what runs over runs into the gap at once.
    const std::uintptr_t data = begin + size - round_up(bytes, 256);
    memory.allocations[data] = {bytes, true};
    std::memset(pointer_to(data), 0xff, bytes); // NaN, of every width
    return pointer_to(data);
}

void release(void* pointer) noexcept {
    device_memory& memory = device();
    const auto found = memory.allocations.find(address_of(pointer));
    if (found == memory.allocations.end() || !found->second.live) {
        return; // as cudaFreeAsync's error, it is nobody's business
    }
    found->second.live = false;
    --memory.live;
    const std::uintptr_t begin = found->first / page * page;
    const std::size_t size = round_up(found->second.bytes, page);
    if (size > 0) {
        (void)madvise(pointer_to(begin), size, MADV_DONTNEED);
        (void)mprotect(pointer_to(begin), size, PROT_NONE);
    }
}

int live_allocations() {
    return device().live;
}

std::byte* new_shared_slot() {
    static std::atomic<std::size_t> used = 0;
    (void)device();
    const std::size_t slot = used++;
    const std::uintptr_t end = shared_part.begin + (slot + 1) * shared_slot - page;
    if (slot >= shared_slots || !make_accessible(end - shared_slot / 2, shared_slot / 2)) {
        throw std::bad_alloc();
    }
    return pointer_to(end);
}

std::optional<bad_access> check_device_access(const void* pointer, std::size_t bytes) {
    const auto& allocations = device().allocations;
    const std::uintptr_t address = address_of(pointer);
    const auto above = allocations.upper_bound(address);
    const auto below = above == allocations.begin() ? allocations.end() : std::prev(above);
    if (below != allocations.end() && address + bytes <= below->first + below->second.bytes) {
        if (below->second.live) {
            return std::nullopt;
        }
        return bad_access{fault_kind::use_after_free,
                          "byte " + std::to_string(address - below->first) + " of an allocation that was released"};
    }
    const auto of = [](const auto& each) {
        return " an allocation of " + std::to_string(each->second.bytes) + " bytes";
    };
    if (above != allocations.end() && (below == allocations.end() || above->first - address < gap / 2)) {
        return bad_access{fault_kind::out_of_bounds,
                          std::to_string(above->first - address) + " bytes before" + of(above)};
    }
    if (below == allocations.end() || address - below->first > below->second.bytes + gap) {
        return bad_access{fault_kind::out_of_bounds, "an address outside every allocation"};
    }
    return bad_access{fault_kind::out_of_bounds, "byte " + std::to_string(address - below->first) + " of" + of(below)};
}

namespace {
void expect_inside(const void* device_pointer, std::size_t bytes) {
    if (const auto bad = check_device_access(device_pointer, bytes)) {
        throw fault(bad->kind, "the host copies " + std::to_string(bytes) + " bytes at " + bad->where);
    }
}
} // namespace

void copy_to_device(void* to, const void* host, std::size_t bytes) {
    if (bytes > 0) {
        expect_inside(to, bytes);
        std::memcpy(to, host, bytes);
    }
}

void copy_to_host(void* host, const void* from, std::size_t bytes) {
    if (bytes > 0) {
        expect_inside(from, bytes);
        std::memcpy(host, from, bytes);
    }
}

} // namespace emulator
