// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

// Compiler detection, and all macros of the library except the version numbers.

/// @namespace unmask
/// The library. Names in `unmask::detail` are private. An inline namespace whose name carries the version and the flags
/// that change the code lets files built with different flags be linked together.

#include <cstdint>

#include <unmask/version.hpp>

// CUDA's extensions of the language. UNMASK_HOST_DEVICE, empty for a host compiler, also marks the functions of your
// own policies, if they are to run on both; the rest is for the library's .cuh files.
#if defined(__CUDACC__)
#define UNMASK_HOST_DEVICE __host__ __device__
#define UNMASK_DEVICE __device__ __forceinline__
#if defined(__CUDACC_RTC__)
#define UNMASK_DETAIL_HIDDEN
#else
// nvcc would warn of a kernel of a type in an unnamed namespace, which is hidden anyway.
#define UNMASK_DETAIL_HIDDEN                                       \
    _Pragma("nv_diagnostic push") _Pragma("nv_diag_suppress 1407") \
        __attribute__((visibility("hidden"))) _Pragma("nv_diagnostic pop")
#endif
#define UNMASK_KERNEL(threads, blocks_a_multiprocessor) \
    __global__ UNMASK_DETAIL_HIDDEN __launch_bounds__(threads, blocks_a_multiprocessor)
#define UNMASK_UNROLL _Pragma("unroll")
#define UNMASK_NO_UNROLL _Pragma("unroll 1")
#else
#define UNMASK_HOST_DEVICE
#endif

// Whatever changes the code that a source compiles to is part of every mangled name, so that files built with different
// flags can be linked into one program and each keeps its own functions.
#if defined(__AVX512F__) && defined(__AVX512BF16__)
#define UNMASK_DETAIL_ISA avx512bf16
#elif defined(__AVX512F__)
#define UNMASK_DETAIL_ISA avx512
#elif defined(__AVX2__) && defined(__FMA__)
#define UNMASK_DETAIL_ISA avx2
#elif defined(__AVX__)
#define UNMASK_DETAIL_ISA avx
#else
#define UNMASK_DETAIL_ISA base
#endif

#if defined(_OPENMP)
#define UNMASK_DETAIL_THREADS openmp
#else
#define UNMASK_DETAIL_THREADS serial
#endif

#if defined(__FAST_MATH__)
#define UNMASK_DETAIL_MATH fast
#else
#define UNMASK_DETAIL_MATH ieee
#endif

// nvcc's list of architectures as a name: 800,900,1000 becomes _cuda_8009001000. The list is sorted, so no two lists
// give the same name. There is room for the 12 architectures that nvcc 13 knows.
#if defined(__CUDACC__) && defined(__CUDA_ARCH_LIST__)
#define UNMASK_DETAIL_CUDA_PASTE(a, b, c, d, e, f, g, h, i, j, k, l, ...) _cuda_##a##b##c##d##e##f##g##h##i##j##k##l
#define UNMASK_DETAIL_CUDA_EXPAND(...) UNMASK_DETAIL_CUDA_PASTE(__VA_ARGS__)
#define UNMASK_DETAIL_CUDA UNMASK_DETAIL_CUDA_EXPAND(__CUDA_ARCH_LIST__, , , , , , , , , , , , )
#else
#define UNMASK_DETAIL_CUDA
#endif

#define UNMASK_DETAIL_PASTE(major, minor, patch, isa, threads, math, cuda) \
    v##major##_##minor##_##patch##_##isa##_##threads##_##math##cuda
#define UNMASK_DETAIL_EXPAND(...) UNMASK_DETAIL_PASTE(__VA_ARGS__)
#define UNMASK_ABI_NAMESPACE                                                                                  \
    UNMASK_DETAIL_EXPAND(UNMASK_VERSION_MAJOR, UNMASK_VERSION_MINOR, UNMASK_VERSION_PATCH, UNMASK_DETAIL_ISA, \
                         UNMASK_DETAIL_THREADS, UNMASK_DETAIL_MATH, UNMASK_DETAIL_CUDA)

// The name of a macro's value as a string.
#define UNMASK_DETAIL_TEXT_OF(name) #name
#define UNMASK_DETAIL_TEXT(name) UNMASK_DETAIL_TEXT_OF(name)

#define UNMASK_NAMESPACE_BEGIN \
    namespace unmask {         \
    inline namespace UNMASK_ABI_NAMESPACE {
#define UNMASK_NAMESPACE_END \
    }                        \
    }

UNMASK_NAMESPACE_BEGIN

/// A position, length, extent or stride.
using index_t = std::int64_t;

/// A token: an index into a vocabulary.
using token_t = std::int32_t;

namespace detail {

// A static_assert on it fails where a template is used, and not before.
template <class...>
inline constexpr bool never = false;

} // namespace detail

UNMASK_NAMESPACE_END
