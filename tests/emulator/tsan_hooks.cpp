// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "address_range.hpp"
#include "block.hpp"
#include "launch.hpp"

// The functions that compilers call from code they instrument with -fsanitize=thread, in place of the thread
// sanitizer's own. Their names are the compilers'.
namespace {

using emulator::access_kind;

void check_inside(const void* pointer, std::size_t bytes, access_kind kind, const void* code) {
    if (emulator::running_block != nullptr) {
        emulator::running_block->check(pointer, bytes, kind, code);
    } else {
        emulator::note_host_access(code);
    }
}

inline void check(const void* pointer, std::size_t bytes, access_kind kind, const void* code) {
    if (emulator::everything.contains(pointer)) [[unlikely]] {
        check_inside(pointer, bytes, kind, code);
    }
}

// A GPU takes a number only from a multiple of its size. (Of 16 bytes, compilers ask this hook for two numbers as
// well.)
inline void check_number(const void* pointer, std::size_t bytes, access_kind kind, const void* code) {
    if (emulator::everything.contains(pointer)) [[unlikely]] {
        if (emulator::running_block != nullptr) {
            emulator::running_block->check_alignment(pointer, std::min<std::size_t>(bytes, 8), kind, code);
        }
        check_inside(pointer, bytes, kind, code);
    }
}

} // namespace

// NOLINTBEGIN(bugprone-reserved-identifier)
extern "C" {

void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_read(void**) {}
void __tsan_vptr_update(void**, void*) {}

void __tsan_read_range(void* p, unsigned long size) {
    check(p, size, access_kind::read, __builtin_return_address(0));
}
void __tsan_write_range(void* p, unsigned long size) {
    check(p, size, access_kind::write, __builtin_return_address(0));
}

#define HOOK(name, check, size, kind)                                   \
    void __tsan_##name##size(void* p) {                                 \
        check(p, size, access_kind::kind, __builtin_return_address(0)); \
    }
#define HOOKS(size)                                  \
    HOOK(read, check_number, size, read)             \
    HOOK(write, check_number, size, write)           \
    HOOK(read_write, check_number, size, write)      \
    HOOK(volatile_read, check_number, size, read)    \
    HOOK(volatile_write, check_number, size, write)  \
    HOOK(unaligned_read, check, size, read)          \
    HOOK(unaligned_write, check, size, write)        \
    HOOK(unaligned_read_write, check, size, write)   \
    HOOK(unaligned_volatile_read, check, size, read) \
    HOOK(unaligned_volatile_write, check, size, write)
HOOKS(1)
HOOKS(2)
HOOKS(4)
HOOKS(8)
HOOKS(16)

void* __tsan_memcpy(void* to, const void* from, unsigned long size) {
    check(from, size, access_kind::read, __builtin_return_address(0));
    check(to, size, access_kind::write, __builtin_return_address(0));
    return std::memcpy(to, from, size);
}
void* __tsan_memmove(void* to, const void* from, unsigned long size) {
    check(from, size, access_kind::read, __builtin_return_address(0));
    check(to, size, access_kind::write, __builtin_return_address(0));
    return std::memmove(to, from, size);
}
void* __tsan_memset(void* to, int value, unsigned long size) {
    check(to, size, access_kind::write, __builtin_return_address(0));
    return std::memset(to, value, size);
}

// Atomic operations belong to the host's code in the same file: the device has none yet.
void __tsan_atomic_thread_fence(int) {
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}
void __tsan_atomic_signal_fence(int) {
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

#define UPDATE(bits, name)                                                                                       \
    std::uint##bits##_t __tsan_atomic##bits##_##name(volatile std::uint##bits##_t* p, std::uint##bits##_t value, \
                                                     int) {                                                      \
        return __atomic_##name(p, value, __ATOMIC_SEQ_CST);                                                      \
    }
#define COMPARE(bits, name, weak)                                                                                     \
    int __tsan_atomic##bits##_compare_exchange_##name(volatile std::uint##bits##_t* p, std::uint##bits##_t* expected, \
                                                      std::uint##bits##_t value, int, int) {                          \
        return __atomic_compare_exchange_n(p, expected, value, weak, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);             \
    }
#define ATOMICS(bits)                                                                                              \
    std::uint##bits##_t __tsan_atomic##bits##_load(const volatile std::uint##bits##_t* p, int) {                   \
        return __atomic_load_n(p, __ATOMIC_SEQ_CST);                                                               \
    }                                                                                                              \
    void __tsan_atomic##bits##_store(volatile std::uint##bits##_t* p, std::uint##bits##_t value, int) {            \
        __atomic_store_n(p, value, __ATOMIC_SEQ_CST);                                                              \
    }                                                                                                              \
    std::uint##bits##_t __tsan_atomic##bits##_exchange(volatile std::uint##bits##_t* p, std::uint##bits##_t value, \
                                                       int) {                                                      \
        return __atomic_exchange_n(p, value, __ATOMIC_SEQ_CST);                                                    \
    }                                                                                                              \
    UPDATE(bits, fetch_add)                                                                                        \
    UPDATE(bits, fetch_sub)                                                                                        \
    UPDATE(bits, fetch_and)                                                                                        \
    UPDATE(bits, fetch_or)                                                                                         \
    UPDATE(bits, fetch_xor)                                                                                        \
    UPDATE(bits, fetch_nand)                                                                                       \
    COMPARE(bits, strong, false)                                                                                   \
    COMPARE(bits, weak, true)
ATOMICS(8)
ATOMICS(16)
ATOMICS(32)
ATOMICS(64)

} // extern "C"
// NOLINTEND(bugprone-reserved-identifier)
