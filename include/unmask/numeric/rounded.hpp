// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>

UNMASK_NAMESPACE_BEGIN

/// Arithmetic that gives the same bits on every processor. A policy that runs on the CPU and on the GPU computes with
/// it.
namespace exact {

/// The value itself, which the compiler can't see through: whatever was computed is rounded here, and neither
/// contracted nor reordered with what follows.
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

} // namespace exact

namespace detail {

using exact::rounded;

} // namespace detail
UNMASK_NAMESPACE_END
