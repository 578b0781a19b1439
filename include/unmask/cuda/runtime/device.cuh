// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <unmask/config.hpp>
#include <unmask/tensor/float_types.hpp>

// All that kernels ask of a GPU beyond plain C++: who they are, shared memory, barriers, exchange within a warp,
// asynchronous copies, tensor cores and the fast elementary functions. Kernels contain no assembly and no intrinsic of
// their own, so what depends on a GPU's architecture is in one place.
//
// A warp's collective functions are called by all of its 32 lanes together, a block's by all of its threads.

UNMASK_NAMESPACE_BEGIN
namespace detail::device {

/// False where the code is compiled for a GPU that has no bfloat16 tensor cores and no asynchronous copies.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
inline constexpr bool has_tensor_cores = false;
#else
inline constexpr bool has_tensor_cores = true;
#endif

inline constexpr int warp_size = 32;

UNMASK_DEVICE int thread() {
    return static_cast<int>(threadIdx.x);
}
UNMASK_DEVICE int lane() {
    return static_cast<int>(threadIdx.x % warp_size);
}
UNMASK_DEVICE int warp() {
    return static_cast<int>(threadIdx.x / warp_size);
}
UNMASK_DEVICE int block() {
    return static_cast<int>(blockIdx.x);
}

/// The block's dynamic shared memory, aligned to 128 bytes. Only collectives.cuh has any besides, a few hundred bytes.
UNMASK_DEVICE std::byte* shared_memory() {
    extern __shared__ __align__(128) unsigned char unmask_shared_memory[];
    return reinterpret_cast<std::byte*>(unmask_shared_memory);
}

/// All threads of the block have come here, and see what each wrote before.
UNMASK_DEVICE void barrier() {
    __syncthreads();
}
/// The same for the lanes of a warp.
UNMASK_DEVICE void warp_barrier() {
    __syncwarp();
}

/// What a warp can exchange.
template <class T>
concept exchangeable =
    std::same_as<T, float> || std::same_as<T, double> || std::same_as<T, int> || std::same_as<T, std::uint32_t>;

/// The value of lane `lane() ^ mask`. Collective.
template <exchangeable T>
UNMASK_DEVICE T shuffle_xor(T value, int mask) {
    return __shfl_xor_sync(0xffffffffU, value, mask);
}
/// The value of lane `from` mod 32. Collective.
template <exchangeable T>
UNMASK_DEVICE T shuffle(T value, std::uint32_t from) {
    return __shfl_sync(0xffffffffU, value, static_cast<int>(from));
}
/// Bit i is what lane i says. Collective.
UNMASK_DEVICE std::uint32_t ballot(bool vote) {
    return __ballot_sync(0xffffffffU, vote);
}

/// `Size` elements of type T from global memory, aligned to their size of 4, 8 or 16 bytes, that are not read again
/// soon: they don't push others out of the caches.
template <class T, int Size>
struct vector {
    T elements[Size];
};
template <class T, int Size>
UNMASK_DEVICE vector<T, Size> load_once(const T* from) {
    using word =
        std::conditional_t<sizeof(T) * Size == 16, uint4, std::conditional_t<sizeof(T) * Size == 8, uint2, unsigned>>;
    static_assert(sizeof(word) == sizeof(T) * Size);
    return bits_as<vector<T, Size>>(__ldcs(reinterpret_cast<const word*>(from)));
}

/// 16 bytes from global to shared memory, both aligned to 16; zeros if not `valid`, and nothing is read then. They have
/// arrived after a wait_copies that covers them, for the thread that copied; after a barrier, for all.
UNMASK_DEVICE void copy_async(void* to_shared, const void* from_global, bool valid) {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
    const auto to = static_cast<std::uint32_t>(__cvta_generic_to_shared(to_shared));
    const int bytes = valid ? 16 : 0;
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from_global), "r"(bytes) : "memory");
#endif
}
/// 16 bytes from shared to global memory, both aligned to 16.
UNMASK_DEVICE void copy_16_bytes(void* to_global, const void* from_shared) {
    *static_cast<uint4*>(to_global) = *static_cast<const uint4*>(from_shared);
}
/// A warp's sums in global memory that others add to as well: 128 floats, aligned to 512 bytes, four of each lane. They
/// lie as additions like them best: in fours from 9.0 on, where one instruction adds as many, and else a lane's beside
/// its neighbour's.
struct shared_sums {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ < 900
    static constexpr bool in_fours = false;
#else
    static constexpr bool in_fours = true;
#endif
    float* data;

    /// Adds a lane's four. In which order several additions to a sum take place is not known.
    UNMASK_DEVICE void add(const float (&values)[4]) const {
        const auto to = static_cast<std::uint64_t>(__cvta_generic_to_global(data + place(0)));
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
        asm volatile("red.global.add.v4.f32 [%0], {%1, %2, %3, %4};" ::"l"(to), "f"(values[0]), "f"(values[1]),
                     "f"(values[2]), "f"(values[3])
                     : "memory");
#else
        for (int i = 0; i < 4; ++i) {
            asm volatile("red.global.add.f32 [%0], %1;" ::"l"(to + i * warp_size * sizeof(float)), "f"(values[i])
                         : "memory");
        }
#endif
    }
    /// Number i of the lane's four, when nobody adds any more.
    UNMASK_DEVICE float sum(int i) const { return data[place(i)]; }

private:
    UNMASK_DEVICE static int place(int i) { return in_fours ? lane() * 4 + i : i * warp_size + lane(); }
};

/// Closes a group of copies.
UNMASK_DEVICE void commit_copies() {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
/// Waits until at most `Pending` of the calling thread's latest groups are under way.
template <int Pending>
UNMASK_DEVICE void wait_copies() {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
    asm volatile("cp.async.wait_group %0;" ::"n"(Pending) : "memory");
#endif
}

/// Four 8 × 8 matrices of 16-bit elements from shared memory. Lane l names row l % 8 of matrix l / 8 (16 bytes, aligned
/// to 16), and gets of matrix m, in result[m], the elements 2 (l % 4) and 2 (l % 4) + 1 of row l / 4. Collective.
UNMASK_DEVICE void load_matrices(std::uint32_t (&result)[4], const void* row) {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 750
    const auto from = static_cast<std::uint32_t>(__cvta_generic_to_shared(row));
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(result[0]), "=r"(result[1]), "=r"(result[2]), "=r"(result[3])
                 : "r"(from)
                 : "memory");
#endif
}
/// The same, each matrix transposed: the elements of rows 2 (l % 4) and 2 (l % 4) + 1, column l / 4.
UNMASK_DEVICE void load_matrices_transposed(std::uint32_t (&result)[4], const void* row) {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 750
    const auto from = static_cast<std::uint32_t>(__cvta_generic_to_shared(row));
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(result[0]), "=r"(result[1]), "=r"(result[2]), "=r"(result[3])
                 : "r"(from)
                 : "memory");
#endif
}

/// c += a · b on the tensor cores, with T bfloat16 or float16: a is 16 × 16, b 16 × 8, c 16 × 8 and float. Lane l holds
///     a[i]: row l / 4 + 8 (i % 2), columns 2 (l % 4) + 8 (i / 2) and the next
///     b[i]: rows 2 (l % 4) + 8 i and the next, column l / 4
///     c[i]: row l / 4 + 8 (i / 2), column 2 (l % 4) + i % 2
/// the element of the lower column (row, in b) in the lower half. Collective.
template <class T>
UNMASK_DEVICE void multiply_add(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1) {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
    if constexpr (std::same_as<T, bfloat16>) {
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
                     "{%8, %9}, {%0, %1, %2, %3};"
                     : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
    } else {
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
                     "{%8, %9}, {%0, %1, %2, %3};"
                     : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
    }
#endif
}

/// Two floats, rounded to nearest, as a pair of T: `low` in the lower half.
template <class T>
UNMASK_DEVICE std::uint32_t pack(float low, float high) {
    std::uint32_t pair = 0;
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
    if constexpr (std::same_as<T, bfloat16>) {
        asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    } else {
        asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    }
#endif
    return pair;
}

/// 2^x to 2 units in the last place; subnormal results are 0, and 2^−∞ is 0.
UNMASK_DEVICE float exp2(float x) {
    float result;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
    return result;
}
/// log2(x) for normal x, to 2^−22 absolute near 1 and relative elsewhere.
UNMASK_DEVICE float log2(float x) {
    float result;
    asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
    return result;
}
/// 1 / x to one unit in the last place.
UNMASK_DEVICE float reciprocal(float x) {
    float result;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
    return result;
}

/// The larger of two; if one is NaN, the other.
UNMASK_DEVICE float largest(float a, float b) {
    return fmaxf(a, b);
}

/// Writes a value to mapped memory, where the host will see it after all that this thread or
/// earlier kernels wrote there.
template <class T>
UNMASK_DEVICE void publish(T* to, T value) {
    __threadfence_system();
    *static_cast<volatile T*>(to) = value;
}
/// What the host wrote last to mapped memory.
template <class T>
UNMASK_DEVICE T published(const T* from) {
    return *static_cast<const volatile T*>(from);
}

/// The value itself, of which the compiler knows nothing: what is computed from it is computed here, again each time,
/// and not kept in registers from before a loop.
template <class Value>
UNMASK_DEVICE Value opaque(Value value) {
    static_assert(sizeof(Value) == 4 || sizeof(Value) == 8);
    if constexpr (sizeof(Value) == 4) {
        asm volatile("" : "+r"(value));
    } else {
        asm volatile("" : "+l"(value));
    }
    return value;
}

/// a · b in one instruction. (The compiler takes three, and more registers, where it knows one of them before a loop.)
UNMASK_DEVICE index_t product(int a, int b) {
    index_t result;
    asm("mul.wide.s32 %0, %1, %2;" : "=l"(result) : "r"(a), "r"(b));
    return result;
}

/// word << bits, 0 from 32 bits on. (In C++ such a shift is undefined.)
UNMASK_DEVICE std::uint32_t shift_left(std::uint32_t word, std::uint32_t bits) {
    std::uint32_t result;
    asm("shl.b32 %0, %1, %2;" : "=r"(result) : "r"(word), "r"(bits));
    return result;
}
/// The number of the lowest bit that is set. word is not 0.
UNMASK_DEVICE int lowest_bit(std::uint32_t word) {
    return __ffs(static_cast<int>(word)) - 1;
}

} // namespace detail::device
UNMASK_NAMESPACE_END
