// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// A row's reduction and draw again, one token at a time, in the order of operations that is part of the library's
/// results: they must be the same to the last bit. It shares the exact scalar functions with the library, and nothing
/// else.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include <unmask/numeric/exact_math.hpp>
#include <unmask/sampler/row_statistics.hpp>

namespace scalar_row {

using namespace unmask;
using exact::rounded;

struct sums {
    double weight = 0;
    double moment = 0;
};

// A row so far. The sums leave out the first of the most likely tokens.
struct part {
    float highest = -INFINITY;
    float second = -INFINITY;
    std::size_t best = 0;
    sums raw;
    sums shaped;
};

struct outcome {
    row_statistics raw;
    row_statistics shaped;
    double weight = 0; // of all tokens, the most likely one's being 1; shaped
    std::size_t token = 0;
};

constexpr std::size_t none = static_cast<std::size_t>(-1);

// Part p of 128 adds tokens p, p + 128, … but `left_out`; then parts are folded by halves.
inline sums sum_chunk(std::span<const float> chunk, float highest, std::size_t left_out,
                      const detail::weight_rule& rule) {
    float weight[128]{};
    float moment[128]{};
    for (std::size_t i = 0; i < chunk.size(); ++i) {
        const float distance = rule.distance(chunk[i], highest);
        const float w = detail::weight_of(distance, rule);
        if (i != left_out && w > 0) {
            weight[i % 128] = rounded(weight[i % 128] + w);
            moment[i % 128] = detail::fused(w, distance, moment[i % 128]);
        }
    }
    for (std::size_t half = 64; half > 0; half /= 2) {
        for (std::size_t i = 0; i < half; ++i) {
            weight[i] = rounded(weight[i] + weight[i + half]);
            moment[i] = rounded(moment[i] + moment[i + half]);
        }
    }
    return {weight[0], rule.in_logits(moment[0])};
}

inline double with_best(const sums& others) {
    return rounded(1 + others.weight);
}

inline sums join(const sums& high, double weight, double moment, double distance, double factor) {
    return {detail::fused(factor, weight, high.weight),
            detail::fused(factor, detail::fused(distance, weight, moment), high.moment)};
}

inline row_statistics statistics(token_t best, double second, const sums& from, double scale) {
    const double log_sum = exact::log_of_1_plus(from.weight);
    const double mean = rounded(rounded(from.moment * scale) / rounded(1 + from.weight));
    return {best, second, log_sum, std::max(0.0, log_sum - mean)};
}

// Pairs, pairs of pairs, …; then down from the root.
inline std::size_t draw_from_chunk(std::span<const float> chunk, float highest, const detail::weight_rule& rule,
                                   double uniform) {
    std::vector<std::vector<float>> levels(1);
    std::size_t size = 1;
    while (size < chunk.size()) {
        size *= 2;
    }
    for (std::size_t i = 0; i < size; ++i) {
        levels[0].push_back(i < chunk.size() ? detail::weight_of(rule.distance(chunk[i], highest), rule) : 0);
    }
    while (levels.back().size() > 1) {
        const auto below = levels.back();
        levels.emplace_back();
        for (std::size_t i = 0; i < below.size(); i += 2) {
            levels.back().push_back(rounded(below[i] + below[i + 1]));
        }
    }
    double left = rounded(uniform * static_cast<double>(levels.back()[0]));
    std::size_t at = 0;
    for (std::size_t level = levels.size() - 1; level-- > 0;) {
        const double first = levels[level][2 * at];
        const double other = levels[level][2 * at + 1];
        at *= 2;
        if (left >= first && other > 0) {
            left -= first;
            ++at;
        }
    }
    return at;
}

/// `row` has a distribution. At temperature 1 raw and shaped are the same.
inline outcome reduce(std::span<const float> row, double temperature, double uniform) {
    const detail::weight_rule raw_rule(1);
    const detail::weight_rule rule(1 / temperature);
    part all;
    bool any = false;
    std::size_t chosen = 0;
    float chosen_highest = 0;
    for (std::size_t begin = 0; begin < row.size(); begin += 1024) {
        const auto chunk = row.subspan(begin, std::min<std::size_t>(1024, row.size() - begin));
        const auto best = static_cast<std::size_t>(std::max_element(chunk.begin(), chunk.end()) - chunk.begin());
        const float highest = chunk[best];
        if (highest == -INFINITY) {
            continue;
        }
        const bool leads = !any || highest > all.highest; // only then is its best token left out
        const sums raw = sum_chunk(chunk, highest, leads ? best : none, raw_rule);
        const sums shaped = sum_chunk(chunk, highest, leads ? best : none, rule);
        part one{highest, -INFINITY, begin + best, raw, shaped};
        for (std::size_t i = 0; i < chunk.size(); ++i) {
            one.second = i == best ? one.second : std::max(one.second, chunk[i]);
        }
        if (!any) {
            any = true;
            all = one;
            chosen = begin;
            chosen_highest = highest;
            continue;
        }
        const double distance = -std::abs(static_cast<double>(highest) - static_cast<double>(all.highest));
        const double raw_factor = exact::exp_nonpositive(distance);
        const double factor = exact::exp_nonpositive(rounded(distance * rule.scale));
        const double before = leads ? rounded(factor * with_best(all.shaped)) : with_best(all.shaped);
        const double offered = leads ? with_best(shaped) : rounded(factor * shaped.weight);
        const double reached = rounded(uniform * rounded(before + offered));
        if (reached < offered) {
            chosen = begin;
            chosen_highest = highest;
            uniform = rounded(reached / offered);
        } else {
            uniform = rounded(rounded(reached - offered) / before);
        }
        if (leads) {
            one.second = std::max(one.second, all.highest);
            one.raw = join(raw, with_best(all.raw), all.raw.moment, distance, raw_factor);
            one.shaped = join(shaped, with_best(all.shaped), all.shaped.moment, distance, factor);
            all = one;
        } else {
            all.second = std::max(all.second, highest);
            all.raw = join(all.raw, raw.weight, raw.moment, distance, raw_factor);
            all.shaped = join(all.shaped, shaped.weight, shaped.moment, distance, factor);
        }
    }
    outcome result;
    const double second = static_cast<double>(all.second) - static_cast<double>(all.highest);
    const auto best = static_cast<token_t>(all.best);
    result.raw = statistics(best, second, all.raw, 1);
    result.shaped = statistics(best, rounded(second * rule.scale), all.shaped, rule.scale);
    result.weight = with_best(all.shaped);
    const auto chunk = row.subspan(chosen, std::min<std::size_t>(1024, row.size() - chosen));
    result.token = chosen + draw_from_chunk(chunk, chosen_highest, rule, uniform);
    return result;
}

} // namespace scalar_row
