// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <cstdint>

#include <unmask/config.hpp>
#include <unmask/cpu/rows/chunk_sums.hpp>
#include <unmask/cpu/rows/exact_simd.hpp>
#include <unmask/cpu/rows/row_chunk.hpp>
#include <unmask/cpu/simd.hpp>
#include <unmask/numeric/detail/base_2.hpp>
#include <unmask/numeric/detail/row_sums.hpp>
#include <unmask/numeric/detail/weights.hpp>
#include <unmask/numeric/exact_math.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// What a chunk of a single line comes to, all of it in registers: what chunk_best and chunk_adder give, to the same
// bits. For small vocabularies, where the way between those would take longer than the work.
template <bool Tempered, std::size_t Registers>
struct line_reduction {
    float highest;
    float second = minus_infinity;
    token_t best = -1; // of the line's tokens; −1: all are −∞, or one is bad
    bool bad = false;  // a logit is NaN or +∞
    weight_sums raw;
    weight_sums shaped;

    [[gnu::always_inline]] line_reduction(const chunk_lines& line, const weight_rule& rule) {
        vfloat logits[Registers];
        vfloat of_all = broadcast(minus_infinity);
        for (std::size_t k = 0; k < Registers; ++k) {
            logits[k] = k < line.registers() ? load(line.at(0, k)) : broadcast(minus_infinity);
            of_all = higher_of(of_all, logits[k]);
        }
        highest = highest_folded(of_all);
        const std::size_t at = first_that_equals(logits, Registers, broadcast(highest));
        if (is_forbidden(highest) || at >= Registers * lanes || !sums_show_nan || is_bad_logit(highest)) {
            bad = line.any_bad();
            if (is_forbidden(highest) || bad) {
                return;
            }
        }
        part_sums<Registers> raw_parts;
        part_sums<Registers> shaped_parts;
        const weight_rule raw_rule(1);
        const vfloat lowered = broadcast(-highest);
        const lane_distances shaped_distance(highest, rule);
        of_all = broadcast(minus_infinity);
        for (std::size_t k = 0; k < Registers; ++k) {
            logits[k] = select(lane_numbers() + static_cast<std::int32_t>(k * lanes) == static_cast<std::int32_t>(at),
                               broadcast(minus_infinity), logits[k]);
            of_all = higher_of(of_all, logits[k]);
            const vfloat distance = logits[k] + lowered;
            raw_parts.weight[k] = raw_parts.moment[k] = vfloat{};
            weights_of(distance, raw_rule).add_to(raw_parts.weight[k], raw_parts.moment[k]);
            if constexpr (Tempered) {
                shaped_parts.weight[k] = shaped_parts.moment[k] = vfloat{};
                weights_of(shaped_distance(logits[k]), rule).add_to(shaped_parts.weight[k], shaped_parts.moment[k]);
            }
        }
        second = highest_folded(of_all);
        raw = raw_parts.fold(Registers);
        if constexpr (Tempered) {
            shaped = shaped_parts.fold(Registers);
            shaped.moment = rule.in_logits(shaped.moment);
        }
        bad = are_bad(raw);
        best = static_cast<token_t>(at);
    }
};

} // namespace detail
UNMASK_NAMESPACE_END
