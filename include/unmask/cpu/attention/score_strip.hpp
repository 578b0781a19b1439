// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include <unmask/config.hpp>
#include <unmask/cpu/attention/pack.hpp>
#include <unmask/cpu/attention/problem.hpp>
#include <unmask/cpu/attention/query_strip.hpp>
#include <unmask/cpu/attention/tile_product.hpp>
#include <unmask/cpu/simd.hpp>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/mask/ranges.hpp>
#include <unmask/mask/tiles.hpp>

// The scores of a strip of queries against a span of keys, [keys][Lanes], hidden ones −∞.

UNMASK_NAMESPACE_BEGIN
namespace detail {

// Which keys of a span each lane sees, as up to Capacity half-open windows a lane, counted from the span's first key.
// Windows that a lane does not need are empty. Idle lanes see everything, so that they never cause masking.
template <int Lanes, int Capacity>
struct lane_windows {
    int count = 1;
    std::int32_t begin[Capacity][Lanes]{};
    std::int32_t end[Capacity][Lanes]{};

    template <row_mask_policy Mask>
    lane_windows(const Mask& mask, const query_strip<Lanes>& strip, range keys) {
        std::fill(end[0] + strip.count, end[0] + Lanes, static_cast<std::int32_t>(keys.end - keys.begin));
        for (int lane = 0; lane < strip.count; ++lane) {
            int window = 0;
            for (const range& seen : mask.row(strip.position[lane], keys.end)) {
                if (const range part = intersect(seen, keys); !part.empty()) {
                    begin[window][lane] = static_cast<std::int32_t>(part.begin - keys.begin);
                    end[window][lane] = static_cast<std::int32_t>(part.end - keys.begin);
                    ++window;
                }
            }
            count = std::max(count, window);
        }
    }

    // The keys that every lane sees in its first window: these need no masking.
    [[nodiscard]] range common() const {
        return {*std::max_element(begin[0], begin[0] + Lanes), *std::min_element(end[0], end[0] + Lanes)};
    }

    // −∞ where one of these keys is outside all windows of its lane.
    void hide(range keys, int vectors, float* scores) const {
        for (int v = 0; v < vectors; ++v) {
            for (index_t k = keys.begin; k < keys.end; ++k) {
                const auto key = static_cast<std::int32_t>(k);
                vint seen{};
                for (int window = 0; window < count; ++window) {
                    vint first;
                    vint last;
                    std::memcpy(&first, begin[window] + v * lanes, sizeof first);
                    std::memcpy(&last, end[window] + v * lanes, sizeof last);
                    seen |= (first <= key) & (last > key);
                }
                float* const at = scores + k * Lanes + v * lanes;
                store(at, select(seen, load(at), broadcast(minus_infinity)));
            }
        }
    }
};

// −∞ where the mask hides the key.
template <mask_policy Mask, int Lanes>
inline void hide_scores(const Mask& mask, const query_strip<Lanes>& strip, range keys, float* scores) {
    if constexpr (row_mask_policy<Mask>) {
        using row_ranges = decltype(mask.row(index_t{}, index_t{}));
        const lane_windows<Lanes, row_ranges::capacity> windows(mask, strip, keys);
        const range common = windows.common();
        const index_t length = keys.end - keys.begin;
        if (common.empty()) {
            windows.hide({0, length}, strip.vectors(), scores);
        } else {
            windows.hide({0, common.begin}, strip.vectors(), scores);
            windows.hide({common.end, length}, strip.vectors(), scores);
        }
    } else {
        for (index_t k = keys.begin; k < keys.end; ++k, scores += Lanes) {
            for (int lane = 0; lane < strip.count; ++lane) {
                scores[lane] = mask.visible(strip.position[lane], k) ? scores[lane] : minus_infinity;
            }
        }
    }
}

// score → soft_cap · tanh(score / soft_cap).
inline void cap_scores(float* scores, index_t count, float soft_cap) {
    for (index_t i = 0; i < count; i += lanes) {
        store(scores + i, tanh(load(scores + i) * (1.0F / soft_cap)) * soft_cap);
    }
}

// What a key weighs in a row whose log-sum-exp is known: exp(score − log_sum_exp), and 0 where it is hidden, also if
// the row saw nothing, or NaN.
inline vfloat weight_of(vfloat score, vfloat log_sum_exp) {
    return select(is_minus_infinity(score), vfloat{}, exp(score - log_sum_exp));
}

// Elements of a key or query as scores are computed from it.
template <class Products>
inline index_t score_width(index_t head_dim) {
    return round_up(tiles_of(head_dim, Products::depth), 4);
}

// A key, or a query with the scale as factor. Pairs stay as they are stored: their scores get the scale.
template <class Products, class T>
inline void pack_for_score(const T* from, index_t head_dim, float factor, typename Products::element* to,
                           index_t width) {
    if constexpr (Products::depth == 1) {
        pack_row(from, head_dim, factor, to, width);
    } else {
        pack_row(from, head_dim, to, width);
    }
}

// The scores. `keys` are packed rows from the span's first one on, `queries` a transposed panel. `between` is called
// now and then.
template <class Products, class T, mask_policy Mask, int Lanes, class Between = nothing>
inline void score_strip(const attention_problem<T>& problem, const Mask& mask, const query_strip<Lanes>& strip,
                        range keys, tile_class kind, const typename Products::element* key_rows, index_t key_stride,
                        const typename Products::element* queries, float* scores, Between&& between = {}) {
    const index_t length = keys.end - keys.begin;
    const index_t depth = (problem.head_dim + Products::depth - 1) / Products::depth;
    multiply<Products, product::overwrites, false>(length, strip.vectors() * lanes, depth, {key_rows, key_stride},
                                                   queries, Lanes, {scores, Lanes}, between);
    if constexpr (Products::depth > 1) {
        const vfloat factor = broadcast(problem.scale);
        for (index_t i = 0; i < length * Lanes; i += lanes) {
            store(scores + i, load(scores + i) * factor);
        }
    }
    if (problem.soft_cap > 0.0F) {
        cap_scores(scores, length * Lanes, problem.soft_cap);
    }
    if (kind == tile_class::partial) {
        hide_scores(mask, strip, keys, scores);
    }
}

} // namespace detail
UNMASK_NAMESPACE_END
