// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <bit>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>

#include <unmask/config.hpp>
#include <unmask/tensor/float_types.hpp>

#include "../../../../device_calls.hpp"

// unmask/cuda/runtime/device.cuh on the host: the same functions, which the original describes. Collective functions
// have one more argument, the place of the call, by which the emulator sees that threads meet at different calls.

UNMASK_NAMESPACE_BEGIN
namespace detail::device {

using ::emulator::call_site;

inline constexpr bool has_tensor_cores = true;
inline constexpr int warp_size = 32;

UNMASK_DEVICE int thread() {
    return ::emulator::thread();
}
UNMASK_DEVICE int lane() {
    return thread() % warp_size;
}
UNMASK_DEVICE int warp() {
    return thread() / warp_size;
}
UNMASK_DEVICE int block() {
    return ::emulator::block();
}

UNMASK_DEVICE std::byte* shared_memory() {
    return ::emulator::shared_memory();
}

UNMASK_DEVICE void barrier(call_site where = call_site::here()) {
    ::emulator::barrier(where);
}
UNMASK_DEVICE void warp_barrier(call_site where = call_site::here()) {
    ::emulator::warp_barrier(where);
}

template <class T>
concept exchangeable =
    std::same_as<T, float> || std::same_as<T, double> || std::same_as<T, int> || std::same_as<T, std::uint32_t>;

template <exchangeable T>
UNMASK_DEVICE T shuffle_xor(T value, int mask, call_site where = call_site::here()) {
    ::emulator::shuffle_xor(&value, sizeof value, mask, where);
    return value;
}
template <exchangeable T>
UNMASK_DEVICE T shuffle(T value, std::uint32_t from, call_site where = call_site::here()) {
    ::emulator::shuffle(&value, sizeof value, from, where);
    return value;
}
UNMASK_DEVICE std::uint32_t ballot(bool vote, call_site where = call_site::here()) {
    return ::emulator::ballot(vote, where);
}

template <class T, int Size>
struct vector {
    T elements[Size];
};
template <class T, int Size>
UNMASK_DEVICE vector<T, Size> load_once(const T* from) {
    static_assert(sizeof(T) * Size == 4 || sizeof(T) * Size == 8 || sizeof(T) * Size == 16);
    vector<T, Size> result;
    ::emulator::load(&result, from, sizeof result);
    return result;
}

UNMASK_DEVICE void copy_async(void* to_shared, const void* from_global, bool valid) {
    ::emulator::copy_async(to_shared, from_global, valid);
}
UNMASK_DEVICE void copy_16_bytes(void* to_global, const void* from_shared) {
    ::emulator::copy_16_bytes(to_global, from_shared);
}
UNMASK_DEVICE void commit_copies() {
    ::emulator::commit_copies();
}
template <int Pending>
UNMASK_DEVICE void wait_copies() {
    ::emulator::wait_copies(Pending);
}

UNMASK_DEVICE void load_matrices(std::uint32_t (&result)[4], const void* row, call_site where = call_site::here()) {
    ::emulator::load_matrices(result, row, false, where);
}
UNMASK_DEVICE void load_matrices_transposed(std::uint32_t (&result)[4], const void* row,
                                            call_site where = call_site::here()) {
    ::emulator::load_matrices(result, row, true, where);
}

template <class T>
UNMASK_DEVICE void multiply_add(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1,
                                call_site where = call_site::here()) {
    using ::emulator::half;
    ::emulator::multiply_add(std::same_as<T, bfloat16> ? half::bfloat16 : half::float16, c, a, b0, b1, where);
}

template <class T>
UNMASK_DEVICE std::uint32_t pack(float low, float high) {
    // The GPU makes but one NaN.
    const auto bits = [](float x) -> std::uint32_t { return std::isnan(x) ? 0x7fffU : T(x).bits; };
    return bits(low) | bits(high) << 16;
}

// The GPU's elementary functions take and give 0 in place of subnormal numbers.
UNMASK_DEVICE float without_subnormal(float x) {
    return std::fabs(x) < std::numeric_limits<float>::min() ? std::copysign(0.0F, x) : x;
}
UNMASK_DEVICE float exp2(float x) {
    return without_subnormal(std::exp2(x));
}
UNMASK_DEVICE float log2(float x) {
    return std::log2(without_subnormal(x));
}
UNMASK_DEVICE float reciprocal(float x) {
    return without_subnormal(1.0F / without_subnormal(x));
}

UNMASK_DEVICE float largest(float a, float b) {
    return std::fmax(a, b);
}

template <class T>
UNMASK_DEVICE void publish(T* to, T value) {
    *to = value;
}
template <class T>
UNMASK_DEVICE T published(const T* from) {
    return *from;
}

template <class Value>
UNMASK_DEVICE Value opaque(Value value) {
    static_assert(sizeof(Value) == 4 || sizeof(Value) == 8);
    return value;
}

UNMASK_DEVICE std::uint32_t shift_left(std::uint32_t word, std::uint32_t bits) {
    return bits < 32 ? word << bits : 0;
}
UNMASK_DEVICE int lowest_bit(std::uint32_t word) {
    return std::countr_zero(word);
}

} // namespace detail::device
UNMASK_NAMESPACE_END
