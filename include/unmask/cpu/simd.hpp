// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#if defined(__AVX2__) || defined(__AVX512F__)
#include <immintrin.h>
#endif

#include <unmask/config.hpp>
#include <unmask/numeric/detail/base_2.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// A register of floats, in the vector language of GCC and clang: the width is what the including project compiles for.
#if defined(__AVX512F__)
inline constexpr int lanes = 16;
#elif defined(__AVX__)
inline constexpr int lanes = 8;
#else
inline constexpr int lanes = 4;
#endif
using vfloat = float __attribute__((vector_size(lanes * sizeof(float))));
using vint = std::int32_t __attribute__((vector_size(lanes * sizeof(std::int32_t))));
using vbits = std::uint32_t __attribute__((vector_size(lanes * sizeof(std::uint32_t))));

inline vfloat load(const float* from) {
    vfloat result;
    std::memcpy(&result, from, sizeof result);
    return result;
}

inline void store(float* to, vfloat value) {
    std::memcpy(to, &value, sizeof value);
}

inline vfloat broadcast(float value) {
    return value - vfloat{};
}

// a · b + c, rounded once where the processor can. By the instruction: whether a compiler fuses a product and a sum
// depends on the code around them, and on the processor it tunes for, and so would the bits of a row.
inline vfloat multiply_add(vfloat a, vfloat b, vfloat c) {
#if defined(__AVX512F__)
    return _mm512_fmadd_ps(a, b, c);
#elif defined(__AVX2__) && defined(__FMA__)
    return _mm256_fmadd_ps(a, b, c);
#else
    return a * b + c;
#endif
}
inline float multiply_add(float a, float b, float c) {
#if defined(__FMA__)
    return __builtin_fmaf(a, b, c);
#else
    return a * b + c;
#endif
}

inline vfloat select(vint condition, vfloat yes, vfloat no) {
    return condition ? yes : no;
}

inline vfloat larger(vfloat a, vfloat b) {
    return select(a > b, a, b);
}

inline float sum_of_lanes(vfloat value) {
    float each[lanes];
    store(each, value);
    for (int half = lanes / 2; half > 0; half /= 2) {
        for (int i = 0; i < half; ++i) {
            each[i] += each[i + half];
        }
    }
    return each[0];
}

// Asked of the bits: -ffinite-math-only can't fold that away.
inline vint is_minus_infinity(vfloat values) {
    return std::bit_cast<vint>(values) == static_cast<std::int32_t>(0xff800000);
}
inline bool is_minus_infinity(float value) {
    return std::bit_cast<std::uint32_t>(value) == 0xff800000;
}

// e^x for x ≤ 0, absolute error 1.2e-7; 0 below −87, so exactly 0 at −∞, and exactly 1 at 0. A little above 0, where
// rounding may put a score that is its row's largest, it is as good. The whole part is taken by an instruction or by a
// conversion, not by adding and subtracting a large constant: -ffast-math folds the latter away.
inline vfloat exp(vfloat natural) {
    const vfloat x = natural * log2_e;
#if defined(__AVX512F__)
    const vfloat whole = _mm512_maskz_roundscale_ps(0xffff, x, _MM_FROUND_TO_NEAREST_INT);
    const vfloat r = x - whole;
#else
#if defined(__AVX2__)
    const vint whole = std::bit_cast<vint>(_mm256_cvtps_epi32(x));
#else
    const vint whole = __builtin_convertvector(x - 0.5F, vint); // the nearest, as x ≤ 0
#endif
    const vfloat r = x - __builtin_convertvector(whole, vfloat);
#endif
    vfloat p = broadcast(1.54614475e-4F);
    p = multiply_add(p, r, broadcast(1.33908674e-3F));
    p = multiply_add(p, r, broadcast(9.61805667e-3F));
    p = multiply_add(p, r, broadcast(5.5503571e-2F));
    p = multiply_add(p, r, broadcast(2.40226509e-1F));
    p = multiply_add(p, r, broadcast(6.93147188e-1F));
    p = multiply_add(p, r, broadcast(1.0F));
#if defined(__AVX512F__)
    return _mm512_maskz_scalef_ps(0xffff, p, whole);
#else
    // Adds to the exponent. Unsigned: far below −125, where the sum is not used, it overflows.
    const vfloat scaled = std::bit_cast<vfloat>(std::bit_cast<vbits>(p) + (std::bit_cast<vbits>(whole) << 23));
    return select(x < -125.0F, vfloat{}, scaled);
#endif
}

// tanh(x), relative error 2e-7: an odd polynomial near 0, where 1 − 2/(e^2x + 1) would cancel.
inline vfloat tanh(vfloat x) {
    const vfloat square = x * x;
    vfloat p = broadcast(-6.27637853e-3F);
    p = multiply_add(p, square, broadcast(2.11162076e-2F));
    p = multiply_add(p, square, broadcast(-5.38751368e-2F));
    p = multiply_add(p, square, broadcast(1.33329240e-1F));
    p = multiply_add(p, square, broadcast(-3.33333304e-1F));
    const vfloat near = multiply_add(x * square, p, x);
    const vfloat positive = larger(x, -x);
    const vfloat clamped = select(positive > 20.0F, broadcast(20.0F), positive);
    const vfloat decayed = exp(clamped * -2.0F); // e^−2|x|
    const vfloat far = (1.0F - decayed) / (1.0F + decayed);
    return select(positive < 0.6F, near, select(x < 0.0F, -far, far));
}

} // namespace detail
UNMASK_NAMESPACE_END
