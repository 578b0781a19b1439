// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#if defined(__AVX__)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h> // immintrin.h takes as long to parse as half of the library
#endif

#include <unmask/config.hpp>
#include <unmask/cpu/simd.hpp>
#include <unmask/numeric/detail/base_2.hpp>
#include <unmask/numeric/detail/weights.hpp>
#include <unmask/numeric/exact_math.hpp>

// The weights of exact_math.hpp, a register at a time, with the same bits.

UNMASK_NAMESPACE_BEGIN
namespace detail {

using vbits = std::uint32_t __attribute__((vector_size(sizeof(vfloat))));

template <class Register>
    requires(!std::floating_point<Register>)
inline Register rounded(Register value) {
#if defined(__AVX512F__)
    asm("" : "+v"(value));
#elif defined(__SSE2__)
    asm("" : "+x"(value));
#elif defined(__aarch64__)
    asm("" : "+w"(value));
#else
    asm("" : "+m"(value));
#endif
    return value;
}

inline vfloat fused_by_lanes(vfloat a, vfloat b, vfloat c) {
    vfloat result{};
    for (int lane = 0; lane < lanes; ++lane) {
        result[lane] = fused(float{a[lane]}, float{b[lane]}, float{c[lane]});
    }
    return result;
}

#if defined(__SSE2__) && !defined(__AVX__)
// For processors without the instruction: products are exact in double, and their sums with c are rounded
// twice. The result differs from a single rounding only if the first one gives the middle between two
// floats, or a subnormal float.
inline vfloat fused_by_doubles(vfloat a, vfloat b, vfloat c) {
    const auto low = [](vfloat value) { return _mm_cvtps_pd(value); };
    const auto high = [](vfloat value) { return _mm_cvtps_pd(_mm_movehl_ps(value, value)); };
    const __m128d sums[2] = {_mm_add_pd(_mm_mul_pd(low(a), low(b)), low(c)),
                             _mm_add_pd(_mm_mul_pd(high(a), high(b)), high(c))};
    const vfloat result = _mm_movelh_ps(_mm_cvtpd_ps(sums[0]), _mm_cvtpd_ps(sums[1]));
    // The bits that don't fit into a float.
    const __m128 bits = _mm_shuffle_ps(_mm_castpd_ps(sums[0]), _mm_castpd_ps(sums[1]), _MM_SHUFFLE(2, 0, 2, 0));
    const __m128i rest = _mm_and_si128(_mm_castps_si128(bits), _mm_set1_epi32(0x1fffffff));
    const __m128 middle = _mm_castsi128_ps(_mm_cmpeq_epi32(rest, _mm_set1_epi32(0x10000000)));
    const __m128 size = _mm_andnot_ps(_mm_set1_ps(-0.0F), result);
    const __m128 tiny = _mm_and_ps(_mm_cmplt_ps(size, _mm_set1_ps(0x1p-125F)), _mm_cmpneq_ps(size, _mm_setzero_ps()));
    return _mm_movemask_ps(_mm_or_ps(middle, tiny)) != 0 ? fused_by_lanes(a, b, c) : result;
}
#endif

inline vfloat fused(vfloat a, vfloat b, vfloat c) {
#if defined(__AVX512F__)
    return _mm512_fmadd_ps(a, b, c);
#elif defined(__AVX2__) && defined(__FMA__)
    return _mm256_fmadd_ps(a, b, c);
#elif defined(__SSE2__) && !defined(__AVX__)
    return fused_by_doubles(a, b, c);
#else
    return fused_by_lanes(a, b, c);
#endif
}

// The higher value; either one if one is NaN.
inline vfloat higher_of(vfloat a, vfloat b) {
#if defined(__AVX512F__)
    return _mm512_maskz_max_ps(0xffff, a, b);
#elif defined(__AVX2__)
    return _mm256_max_ps(a, b);
#else
    return larger(a, b);
#endif
}

// One bit per lane, set where the condition holds.
inline std::uint32_t lanes_where(vint condition) {
#if defined(__AVX512F__)
    const auto bits = std::bit_cast<__m512i>(condition);
    return _mm512_test_epi32_mask(bits, bits);
#elif defined(__AVX2__)
    return static_cast<std::uint32_t>(_mm256_movemask_ps(std::bit_cast<__m256>(condition)));
#else
    std::uint32_t bits = 0;
    for (int lane = 0; lane < lanes; ++lane) {
        bits |= (static_cast<std::uint32_t>(condition[lane]) & 1U) << lane;
    }
    return bits;
#endif
}

// One bit per lane, set where two floats are equal, in one instruction.
inline std::uint32_t lanes_that_equal(vfloat a, vfloat b) {
#if defined(__AVX512F__)
    return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ);
#else
    return lanes_where(a == b);
#endif
}

// The index of the first of count · lanes floats, at most 128, that equals `value`; 128 if none does. Without a branch,
// which would be unpredictable and stall the code that depends on it.
[[gnu::always_inline]] inline std::size_t first_that_equals(const vfloat* values, std::size_t count, vfloat value) {
    std::uint64_t words[2]{};
    for (std::size_t i = 0; i < count; ++i) {
        words[i * lanes / 64] |= std::uint64_t{lanes_that_equal(values[i], value)} << (i * lanes % 64);
    }
    const auto in_first = static_cast<std::size_t>(std::countr_zero(words[0])); // 64 if absent
    return in_first + (static_cast<std::size_t>(std::countr_zero(words[1])) & (0 - in_first / 64));
}

inline vint lane_numbers() {
    vint result{};
    for (int lane = 0; lane < lanes; ++lane) {
        result[lane] = lane;
    }
    return result;
}

// Combines lanes by halves: i with i + lanes/2, then with i + lanes/4, … The lanes of a GPU are
// combined in the same order.
template <class Combine>
[[gnu::always_inline]] inline float folded(vfloat value, const Combine& combine) {
#if defined(__AVX2__)
#if defined(__AVX512F__)
    const __m512d wide = _mm512_castps_pd(value);
    const __m256 half = combine(_mm256_castpd_ps(_mm512_maskz_extractf64x4_pd(0xf, wide, 0)),
                                _mm256_castpd_ps(_mm512_maskz_extractf64x4_pd(0xf, wide, 1)));
#else
    const __m256 half = value;
#endif
    const __m128 quarter = combine(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
    const __m128 pair = combine(quarter, _mm_movehl_ps(quarter, quarter));
    return _mm_cvtss_f32(combine(pair, _mm_movehdup_ps(pair)));
#else
    float each[lanes];
    store(each, value);
    for (int half = lanes / 2; half > 0; half /= 2) {
        for (int i = 0; i < half; ++i) {
            each[i] = combine(each[i], each[i + half]);
        }
    }
    return each[0];
#endif
}

inline float sum_folded(vfloat value) {
    return folded(value, [](auto a, auto b) { return rounded(a + b); });
}

inline float highest_folded(vfloat value) {
    return folded(value, [](auto a, auto b) { return a > b ? a : b; });
}

// a[0] + a[1], a[2] + a[3], …, then those of b.
inline vfloat sums_of_pairs(vfloat a, vfloat b) {
#if defined(__AVX512F__)
    const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m512i odd = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
    return rounded(vfloat(_mm512_permutex2var_ps(a, even, b)) + vfloat(_mm512_permutex2var_ps(a, odd, b)));
#else
    vfloat even{};
    vfloat odd{};
    for (int i = 0; i < lanes / 2; ++i) {
        even[i] = a[2 * i];
        odd[i] = a[2 * i + 1];
        even[i + lanes / 2] = b[2 * i];
        odd[i + lanes / 2] = b[2 * i + 1];
    }
    return rounded(even + odd);
#endif
}

// Whether NaN in a distance reaches the sums: -ffast-math removes comparisons, except those that are GCC's
// instructions.
#if (defined(__AVX512F__) || (defined(__AVX2__) && defined(__FMA__))) && !(defined(__clang__) && defined(__FAST_MATH__))
inline constexpr bool sums_show_nan = true;
#else
inline constexpr bool sums_show_nan = false;
#endif

// The distances of logits from the highest, by weight_rule::distance.
class lane_distances {
public:
    lane_distances(float highest, const weight_rule& rule)
        : per_unit_(broadcast(rule.per_unit)), lowered_(broadcast(-highest * rule.per_unit)) {}

    vfloat operator()(vfloat logit) const { return multiply_add(logit, per_unit_, lowered_); } // the product is exact

private:
    vfloat per_unit_;
    vfloat lowered_;
};

// weight_of, in each lane.
struct lane_weights {
    vfloat weight;
    vfloat distance; // without AVX-512, 0 where the weight is 0
#if defined(__AVX512F__)
    __mmask16 near;
#endif

    // Adds the weight, and its product with the distance.
    void add_to(vfloat& sum, vfloat& moment) const {
        sum = rounded(sum + weight);
#if defined(__AVX512F__)
        moment = _mm512_mask3_fmadd_ps(weight, distance, moment, near);
#else
        moment = fused(weight, distance, moment);
#endif
    }
};

// eighth_powers, indexed by the lowest three bits.
inline vbits table_entries(vbits index) {
#if defined(__AVX512F__)
    const __m256i table = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(eighth_powers));
    const __m512i twice = _mm512_maskz_broadcast_i64x4(0xff, table);
    return std::bit_cast<vbits>(_mm512_maskz_permutexvar_epi32(0xffff, std::bit_cast<__m512i>(index), twice));
#elif defined(__AVX2__)
    const __m256i table = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(eighth_powers));
    return std::bit_cast<vbits>(_mm256_permutevar8x32_epi32(table, std::bit_cast<__m256i>(index)));
#else
    for (int lane = 0; lane < lanes; ++lane) {
        index[lane] = eighth_powers[index[lane] % 8];
    }
    return index;
#endif
}

inline lane_weights weights_of(vfloat distance, const weight_rule& rule) {
    const vfloat step = broadcast(rule.step);
#if defined(__AVX512F__)
    const __mmask16 near = _mm512_cmp_ps_mask(distance, broadcast(rule.farthest), _CMP_NLT_UQ);
#elif defined(__AVX2__) && defined(__FMA__)
    const vfloat near = _mm256_cmp_ps(distance, broadcast(rule.farthest), _CMP_NLT_UQ);
    distance = _mm256_and_ps(near, distance);
#else
    const vint far = distance < rule.farthest;
    distance = select(far, vfloat{}, distance);
#endif
    const vfloat shifted = rounded(fused(distance, step, broadcast(eighths_rounder)));
    const vfloat r = fused(distance, step, eighths_rounder - shifted);
    const auto eighths = std::bit_cast<vbits>(shifted);
    const auto power = std::bit_cast<vfloat>(table_entries(eighths) + (eighths << 20));
    vfloat series = broadcast(power_of_2[2]);
    series = fused(series, r, broadcast(power_of_2[1]));
    series = fused(series, r, broadcast(power_of_2[0]));
    const vfloat rest = rounded(power * r);
#if defined(__AVX512F__)
    return {_mm512_maskz_fmadd_ps(near, rest, series, power), distance, near};
#elif defined(__AVX2__) && defined(__FMA__)
    return {_mm256_and_ps(near, fused(rest, series, power)), distance};
#else
    return {select(far, vfloat{}, fused(rest, series, power)), distance};
#endif
}

} // namespace detail
UNMASK_NAMESPACE_END
