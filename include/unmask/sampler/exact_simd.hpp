// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iterator>

#include <unmask/config.hpp>
#include <unmask/cpu/simd.hpp>
#include <unmask/sampler/exact_math.hpp>
#include <unmask/tensor/base_2.hpp>

// exact_math.hpp's weights, a register at a time, to the same bits.

UNMASK_NAMESPACE_BEGIN
namespace detail {

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

inline vfloat fused(vfloat a, vfloat b, vfloat c) {
#if defined(__AVX512F__)
    return _mm512_fmadd_ps(a, b, c);
#elif defined(__AVX2__) && defined(__FMA__)
    return _mm256_fmadd_ps(a, b, c);
#else
    for (int lane = 0; lane < lanes; ++lane) {
        c[lane] = fused(a[lane], b[lane], c[lane]);
    }
    return c;
#endif
}

// The higher; if one is NaN, either.
inline vfloat higher_of(vfloat a, vfloat b) {
#if defined(__AVX512F__)
    return _mm512_maskz_max_ps(0xffff, a, b);
#elif defined(__AVX2__)
    return _mm256_max_ps(a, b);
#else
    return larger(a, b);
#endif
}

// A bit for each lane.
inline std::uint32_t lanes_that_equal(vfloat a, vfloat b) {
#if defined(__AVX512F__)
    return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ);
#elif defined(__AVX2__)
    return static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_EQ_OQ)));
#else
    std::uint32_t bits = 0;
    const vint equal = a == b;
    for (int lane = 0; lane < lanes; ++lane) {
        bits |= (static_cast<std::uint32_t>(equal[lane]) & 1U) << lane;
    }
    return bits;
#endif
}

// The first of count · lanes floats that equals `value`; as many as there are, if none does.
[[gnu::always_inline]] inline std::size_t first_that_equals(const vfloat* values, std::size_t count, vfloat value) {
    constexpr std::size_t in_a_word = 64 / lanes;
    for (std::size_t i = 0; i < count; i += in_a_word) {
        std::uint64_t bits = 0;
        for (std::size_t k = 0; k < in_a_word && i + k < count; ++k) {
            bits |= std::uint64_t{lanes_that_equal(values[i + k], value)} << (k * lanes);
        }
        if (bits != 0) {
            return i * lanes + static_cast<std::size_t>(std::countr_zero(bits));
        }
    }
    return count * lanes;
}

inline vfloat with_lane(vfloat value, std::size_t lane, float replacement) {
#if defined(__AVX512F__)
    return _mm512_mask_mov_ps(value, static_cast<__mmask16>(1U << lane), broadcast(replacement));
#else
    value[lane] = replacement;
    return value;
#endif
}

// Lanes combined by halves: i with i + lanes/2, then with i + lanes/4, … That is the order of a GPU's lanes too.
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

// Whether NaN in a distance reaches the sums: -ffast-math folds comparisons away, but not GCC's that are instructions.
#if (defined(__AVX512F__) || (defined(__AVX2__) && defined(__FMA__))) && !(defined(__clang__) && defined(__FAST_MATH__))
inline constexpr bool sums_show_nan = true;
#else
inline constexpr bool sums_show_nan = false;
#endif

// weight_of, a lane each.
struct lane_weights {
    vfloat weight;
    vfloat distance; // but with AVX-512, 0 where the weight is
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

// eighth_powers, by the lowest three bits.
inline vint table_entries(vint index) {
#if defined(__AVX512F__)
    const __m256i table = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(eighth_powers));
    const __m512i twice = _mm512_maskz_broadcast_i64x4(0xff, table);
    return std::bit_cast<vint>(_mm512_maskz_permutexvar_epi32(0xffff, std::bit_cast<__m512i>(index), twice));
#elif defined(__AVX2__)
    const __m256i table = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(eighth_powers));
    return std::bit_cast<vint>(_mm256_permutevar8x32_epi32(table, std::bit_cast<__m256i>(index)));
#else
    for (int lane = 0; lane < lanes; ++lane) {
        index[lane] = static_cast<std::int32_t>(eighth_powers[index[lane] & 7]);
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
    const vint eighths = std::bit_cast<vint>(shifted);
    const vfloat power = std::bit_cast<vfloat>(table_entries(eighths) + (eighths << 20));
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
