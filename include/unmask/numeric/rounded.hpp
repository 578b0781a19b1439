// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>

UNMASK_NAMESPACE_BEGIN

/// Arithmetic that gives the same bits on every processor. A policy that runs on the CPU and on the GPU computes with
/// it.
namespace exact {

/// The value itself, which the compiler can't see through: a sum or quotient is rounded here, and not reordered with
/// what follows. For a product there is product_of: on a GPU the assembler, which sees through this, would make one
/// operation of it and of a sum that follows.
UNMASK_HOST_DEVICE inline float rounded(float value) {
#if defined(__CUDA_ARCH__)
    asm("" : "+f"(value));
#elif defined(__SSE2__)
    asm("" : "+x"(value));
#elif defined(__aarch64__)
    asm("" : "+w"(value));
#else
    asm("" : "+m"(value));
#endif
    return value;
}

/// The same for double.
UNMASK_HOST_DEVICE inline double rounded(double value) {
#if defined(__CUDA_ARCH__)
    asm volatile("" : "+d"(value));
#elif defined(__SSE2__)
    asm volatile("" : "+x"(value));
#elif defined(__aarch64__)
    asm volatile("" : "+w"(value));
#else
    asm volatile("" : "+m"(value));
#endif
    return value;
}

/// a · b, rounded. On a GPU, subnormal floats count whatever the compiler was told.
UNMASK_HOST_DEVICE inline float product_of(float a, float b) {
#if defined(__CUDA_ARCH__)
    float result;
    asm("mul.rn.f32 %0, %1, %2;" : "=f"(result) : "f"(a), "f"(b));
    return result;
#else
    return rounded(a * b);
#endif
}

/// The same for double.
UNMASK_HOST_DEVICE inline double product_of(double a, double b) {
#if defined(__CUDA_ARCH__)
    double result;
    asm("mul.rn.f64 %0, %1, %2;" : "=d"(result) : "d"(a), "d"(b));
    return result;
#else
    return rounded(a * b);
#endif
}

} // namespace exact

namespace detail {

using exact::product_of;
using exact::rounded;

} // namespace detail
UNMASK_NAMESPACE_END
