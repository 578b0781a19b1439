// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

#include <unmask/config.hpp>
#include <unmask/cpu/rows/chunk_sums.hpp>
#include <unmask/cpu/rows/exact_simd.hpp>
#include <unmask/cpu/rows/row_chunk.hpp>
#include <unmask/cpu/simd.hpp>
#include <unmask/numeric/detail/row_sums.hpp>
#include <unmask/numeric/detail/weights.hpp>
#include <unmask/numeric/exact_math.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// Σ w (p − q) over a chunk, in the common order of sums over chunks: p and q are logits minus the highest of their row,
// and w = exp(p).
inline float chunk_divergence(const chunk_lines& p, float p_highest, const chunk_lines& q, float q_highest) {
    part_sums<chunk_lines::full_registers> sums{};
    const weight_rule rule(1);
    const vfloat p_lowered = broadcast(-p_highest);
    const vfloat q_lowered = broadcast(-q_highest);
    for (std::size_t line = 0; line < p.count(); ++line) {
        for (std::size_t k = 0; k < p.registers(); ++k) {
            const vfloat distance = rounded(load(p.at(line, k)) + p_lowered);
            const vfloat weight = weights_of(distance, rule).weight;
            const vfloat apart = distance - rounded(load(q.at(line, k)) + q_lowered); // NaN where both are −∞
            sums.moment[k] = fused(weight, select(weight > 0, apart, vfloat{}), sums.moment[k]);
        }
    }
    return static_cast<float>(sums.fold(p.registers()).moment);
}

// Σ w (p − q) over a row.
inline double row_divergence(std::span<const float> p, float p_highest, std::span<const float> q, float q_highest) {
    chunk_lines::buffer p_room;
    chunk_lines::buffer q_room;
    double sum = 0;
    for (std::size_t begin = 0; begin < p.size(); begin += chunk_size) {
        const std::size_t count = std::min(chunk_size, p.size() - begin);
        sum += static_cast<double>(chunk_divergence(chunk_lines(p.subspan(begin, count), no_token, p_room), p_highest,
                                                    chunk_lines(q.subspan(begin, count), no_token, q_room), q_highest));
    }
    return sum;
}

} // namespace detail
UNMASK_NAMESPACE_END
