// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>

#include <unmask/config.hpp>
#include <unmask/cpu/rows/exact_simd.hpp>
#include <unmask/cpu/rows/row_chunk.hpp>
#include <unmask/cpu/simd.hpp>
#include <unmask/numeric/detail/weights.hpp>
#include <unmask/numeric/exact_math.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// Whether the sums show that a logit was NaN.
inline bool are_bad(const weight_sums& sums) {
    return sums_show_nan && is_bad_logit(static_cast<float>(sums.moment));
}

// A sum for each part of a chunk.
template <std::size_t Registers>
struct part_sums {
    vfloat weight[Registers];
    vfloat moment[Registers];

    // Folds the parts in the first `count` registers by halves. Missing registers count as 0.
    [[gnu::always_inline]] weight_sums fold(std::size_t count) {
        for (std::size_t half = Registers / 2; half > 0; half /= 2) {
            for (std::size_t i = 0; i < half && i + half < count; ++i) {
                weight[i] = rounded(weight[i] + weight[i + half]);
                moment[i] = rounded(moment[i] + moment[i + half]);
            }
        }
        return {sum_folded(weight[0]), sum_folded(moment[0])};
    }
};

// Sums weights at temperature 1 and, if Tempered, also at another temperature.
template <bool Tempered>
class chunk_adder {
public:
    explicit chunk_adder(const weight_rule& shaped) : raw_(1), shaped_(shaped) {}

    // The sums over a full chunk. Meanwhile it finds the highest logits in the lanes of the next chunk, so that memory
    // is read continuously and in order, and prefetches the chunk after that.
    [[gnu::always_inline]] chunk_sums of_full(const chunk_lines& logits, float highest, const chunk_lines& next,
                                              vfloat& next_tops) const {
        return of_full(logits, all_of(logits), highest, next, next_tops, [](vfloat) {});
    }

    // The sums over any chunk.
    [[nodiscard]] chunk_sums of(const chunk_lines& logits, float highest) const {
        return of_some(logits, all_of(logits), highest, [](vfloat) {});
    }

    // The same without the chunk's best token; `tops` becomes the highest of the other logits in each lane.
    [[nodiscard]] chunk_sums of_full_others(const chunk_lines& logits, float highest, const chunk_best& best,
                                            const chunk_lines& next, vfloat& next_tops, vfloat& tops) const {
        tops = broadcast(minus_infinity);
        return of_full(logits, others_of(logits, best), highest, next, next_tops, highest_of_each(tops));
    }
    [[nodiscard]] chunk_sums of_others(const chunk_lines& logits, float highest, const chunk_best& best,
                                       vfloat& tops) const {
        tops = broadcast(minus_infinity);
        return of_some(logits, others_of(logits, best), highest, highest_of_each(tops));
    }

private:
    using all_parts = part_sums<chunk_lines::full_registers>;
    // Number of registers whose sums are kept at the same time.
    static constexpr std::size_t together = (lanes == 16 ? 8 : 4) / (Tempered ? 2 : 1);

    // Whether distances have a unit at the other temperature: rarely, as it is very high.
    [[nodiscard]] bool has_unit() const { return Tempered && shaped_.unit != 1; }

    // Where logits are; and what is done with each register of them.
    static auto all_of(const chunk_lines& logits) {
        return [&](std::size_t line, std::size_t k) { return logits.at(line, k); };
    }
    static auto others_of(const chunk_lines& logits, const chunk_best& best) {
        return [&](std::size_t line, std::size_t k) { return best.at(logits, line, k); };
    }
    static auto highest_of_each(vfloat& tops) {
        return [&](vfloat logit) { tops = higher_of(tops, logit); };
    }

    template <class At, class Each>
    [[gnu::always_inline]] chunk_sums of_full(const chunk_lines& logits, const At& at, float highest,
                                              const chunk_lines& next, vfloat& next_tops, const Each& each) const {
        if (has_unit()) {
            next_tops = chunk_top::tops_of_lanes(next);
            return of_some(logits, at, highest, each);
        }
        next_tops = broadcast(minus_infinity);
        const auto meanwhile = [&](std::size_t line, std::size_t k, vfloat logit) {
            each(logit);
            next_tops = higher_of(next_tops, load(next.at(line, k)));
            __builtin_prefetch(next.at(line, k) + chunk_size);
        };
        all_parts raw;
        all_parts shaped;
        for (std::size_t k = 0; k < chunk_lines::full_registers; k += together) {
            add<together, false>(k, chunk_lines::full_count, at, highest, raw, shaped, meanwhile);
        }
        return fold(raw, shaped, chunk_lines::full_registers);
    }

    template <class At, class Each>
    chunk_sums of_some(const chunk_lines& logits, const At& at, float highest, const Each& each) const {
        return has_unit() ? of_some<Tempered>(logits, at, highest, each) : of_some<false>(logits, at, highest, each);
    }
    template <bool HasUnit, class At, class Each>
    chunk_sums of_some(const chunk_lines& logits, const At& at, float highest, const Each& each) const {
        const auto meanwhile = [&](std::size_t, std::size_t, vfloat logit) { each(logit); };
        all_parts raw;
        all_parts shaped;
        std::size_t k = 0;
        for (; k + 2 <= logits.registers(); k += 2) {
            add<2, HasUnit>(k, logits.count(), at, highest, raw, shaped, meanwhile);
        }
        if (k < logits.registers()) {
            add<1, HasUnit>(k, logits.count(), at, highest, raw, shaped, meanwhile);
        }
        return fold(raw, shaped, logits.registers());
    }

    // The sums of the weights in `Count` registers of every line.
    template <std::size_t Count, bool HasUnit, class At, class Meanwhile>
    [[gnu::always_inline]] void add(std::size_t first, std::size_t lines, const At& at, float highest, all_parts& raw,
                                    all_parts& shaped, const Meanwhile& meanwhile) const {
        vfloat weight[Count]{};
        vfloat moment[Count]{};
        vfloat shaped_weight[Count]{};
        vfloat shaped_moment[Count]{};
        const vfloat lowered = broadcast(-highest);
        const lane_distances shaped_distance(highest, shaped_);
        for (std::size_t line = 0; line < lines; ++line) {
            const float* from = at(line, first);
            for (std::size_t k = 0; k < Count; ++k) {
                const vfloat logit = load(from + k * lanes);
                meanwhile(line, first + k, logit);
                const vfloat distance = logit + lowered;
                weights_of(distance, raw_).add_to(weight[k], moment[k]);
                if constexpr (Tempered) {
                    const vfloat apart = HasUnit ? shaped_distance(logit) : distance;
                    weights_of(apart, shaped_).add_to(shaped_weight[k], shaped_moment[k]);
                }
            }
        }
        for (std::size_t k = 0; k < Count; ++k) {
            raw.weight[first + k] = weight[k];
            raw.moment[first + k] = moment[k];
            if constexpr (Tempered) {
                shaped.weight[first + k] = shaped_weight[k];
                shaped.moment[first + k] = shaped_moment[k];
            }
        }
    }

    [[gnu::always_inline]] chunk_sums fold(all_parts& raw, all_parts& shaped, std::size_t registers) const {
        chunk_sums sums{raw.fold(registers), {}};
        if constexpr (Tempered) {
            sums.shaped = shaped.fold(registers);
            sums.shaped.moment = shaped_.in_logits(sums.shaped.moment);
        }
        return sums;
    }

    weight_rule raw_;
    weight_rule shaped_;
};

} // namespace detail
UNMASK_NAMESPACE_END
