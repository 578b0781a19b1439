// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstdint>

#include <unmask/config.hpp>
#include <unmask/numeric/rounded.hpp>
#include <unmask/tensor/float_types.hpp>

// Operations that IEEE 754 fixes to the last bit, each rounded by itself whatever the compiler was told.

UNMASK_NAMESPACE_BEGIN
namespace detail {

// From the bits: -ffast-math folds std::isnan away.
UNMASK_HOST_DEVICE inline bool is_nan(double value) {
    return (bits_as<std::uint64_t>(value) << 1) > 0xffe0000000000000U;
}

// a / b. Each has a divisor of its own, or -ffast-math would multiply by its inverse.
UNMASK_HOST_DEVICE inline double quotient(double a, double b) {
    return rounded(a / rounded(b));
}

// a · b + c, rounded once.
UNMASK_HOST_DEVICE inline float fused(float a, float b, float c) {
#if defined(__CUDA_ARCH__)
    float result;
    asm("fma.rn.f32 %0, %1, %2, %3;" : "=f"(result) : "f"(a), "f"(b), "f"(c));
    return result;
#else
    return rounded(__builtin_fmaf(a, b, c));
#endif
}
UNMASK_HOST_DEVICE inline double fused(double a, double b, double c) {
    return rounded(__builtin_fma(a, b, c));
}

// Σ coefficients[i] · x^(i − First), from First on. Not a loop: compilers would leave it one.
template <int First = 0, class T, int Count>
UNMASK_HOST_DEVICE T polynomial(T x, const T (&coefficients)[Count]) {
    if constexpr (First + 1 == Count) {
        return coefficients[First];
    } else {
        return fused(polynomial<First + 1>(x, coefficients), x, coefficients[First]);
    }
}

} // namespace detail
UNMASK_NAMESPACE_END
