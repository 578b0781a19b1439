// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "device_memory.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

namespace ptx {
namespace {

constexpr std::size_t arena_bytes = std::size_t{1} << 42;     // of address space
constexpr std::size_t largest_bytes = std::size_t{400} << 30; // of an allocation
constexpr std::size_t poisoned_bytes = std::size_t{64} << 20; // what is larger is sparse, and 0 from there on
constexpr std::size_t most_remembered = 4096;                 // entries of the table, freed ones included
constexpr int poison_byte = 0xff;                             // NaN in every floating-point type

[[noreturn]] void die(const char* what) {
    std::perror(what);
    std::abort();
}

std::size_t rounded_up(std::size_t bytes, std::size_t unit) {
    return (bytes + unit - 1) / unit * unit;
}

} // namespace

device_memory& device_memory::get() {
    static auto* const memory = new device_memory; // never destroyed: programs free at exit
    return *memory;
}

device_memory::device_memory() : table_(std::make_shared<allocation_table>()) {
    const int file = memfd_create("device memory", 0);
    if (file < 0 || ftruncate(file, static_cast<off_t>(arena_bytes)) != 0) {
        die("memfd_create");
    }
    void* const program = mmap(nullptr, arena_bytes, PROT_NONE, MAP_SHARED | MAP_NORESERVE, file, 0);
    void* const machine = mmap(nullptr, arena_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file, 0);
    if (program == MAP_FAILED || machine == MAP_FAILED) {
        die("mmap");
    }
    program_view_ = static_cast<char*>(program);
    machine_view_ = static_cast<char*>(machine);
    for (const std::uint64_t window : {shared_window, local_window}) { // nothing else may be there
        if (mmap(reinterpret_cast<void*>(window), window_size, PROT_NONE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED) {
            die("mmap of a window");
        }
    }
}

void device_memory::insert(const allocation& made) {
    auto next = std::make_shared<allocation_table>(*table_);
    // The host's allocator gives addresses again, in other pieces.
    std::erase_if(*next, [&](const allocation& a) { return a.begin < made.end && made.begin < a.end; });
    const auto place = std::lower_bound(next->begin(), next->end(), made.begin,
                                        [](const allocation& a, std::uint64_t begin) { return a.begin < begin; });
    next->insert(place, made);
    if (next->size() > most_remembered) {
        std::erase_if(*next, [](const allocation& a) { return !a.live; });
    }
    table_ = next;
}

void* device_memory::allocate(std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    const auto page = static_cast<std::size_t>(getpagesize());
    if (bytes > largest_bytes || used_ + bytes + 2 * page > arena_bytes) {
        return nullptr;
    }
    char* const address = program_view_ + used_;
    char* const memory = machine_view_ + used_;
    const auto begin = reinterpret_cast<std::uint64_t>(address);
    insert({begin, begin + bytes, reinterpret_cast<std::uint64_t>(memory) - begin, true, true});
    std::memset(memory, poison_byte, std::min(bytes, poisoned_bytes));
    used_ += rounded_up(bytes + 1, page); // addresses are not used again, and two allocations never touch
    return address;
}

void* device_memory::allocate_mapped(std::size_t bytes) {
    constexpr std::size_t alignment = 4096;
    void* const memory = std::aligned_alloc(alignment, rounded_up(std::max<std::size_t>(bytes, 1), alignment));
    if (memory != nullptr) {
        std::memset(memory, poison_byte, bytes);
        const std::lock_guard lock(mutex_);
        const auto begin = reinterpret_cast<std::uint64_t>(memory);
        insert({begin, begin + bytes, 0, false, true});
    }
    return memory;
}

bool device_memory::release(void* address) {
    const std::lock_guard lock(mutex_);
    auto next = std::make_shared<allocation_table>(*table_);
    const auto begin = reinterpret_cast<std::uint64_t>(address);
    const auto found =
        std::find_if(next->begin(), next->end(), [&](const allocation& a) { return a.begin == begin && a.live; });
    if (found == next->end()) {
        return false;
    }
    found->live = false;
    if (found->is_device) { // the pages go back to the system
        const auto page = static_cast<std::size_t>(getpagesize());
        madvise(reinterpret_cast<char*>(begin + found->shift), rounded_up(found->end - begin, page), MADV_REMOVE);
    } else {
        std::free(address);
    }
    table_ = next;
    return true;
}

void device_memory::poison(void* address) {
    const auto table = snapshot();
    const auto begin = reinterpret_cast<std::uint64_t>(address);
    const allocation* const found = find_allocation(*table, begin);
    if (found != nullptr && found->begin == begin && found->live) {
        std::memset(reinterpret_cast<char*>(begin + found->shift), poison_byte,
                    std::min<std::size_t>(found->end - begin, poisoned_bytes));
    }
}

char* device_memory::reach(const void* address, std::size_t bytes) const {
    const auto at = reinterpret_cast<std::uint64_t>(address);
    const auto table = snapshot();
    const allocation* const found = find_allocation(*table, at);
    return found != nullptr && found->live && at + bytes <= found->end ? reinterpret_cast<char*>(at + found->shift)
                                                                       : nullptr;
}

bool device_memory::is_device(const void* address) const {
    const auto* at = static_cast<const char*>(address);
    return at >= program_view_ && at < program_view_ + arena_bytes;
}

std::shared_ptr<const allocation_table> device_memory::snapshot() const {
    const std::lock_guard lock(mutex_);
    return table_;
}

int device_memory::live_allocations() const {
    const auto table = snapshot();
    return static_cast<int>(
        std::count_if(table->begin(), table->end(), [](const allocation& a) { return a.live && a.is_device; }));
}

const allocation* find_allocation(const allocation_table& table, std::uint64_t address) {
    const auto next = std::upper_bound(table.begin(), table.end(), address,
                                       [](std::uint64_t value, const allocation& a) { return value < a.begin; });
    return next == table.begin() ? nullptr : &*(next - 1);
}

} // namespace ptx
