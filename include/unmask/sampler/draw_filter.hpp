// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <limits>
#include <span>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/cpu/chunk_sums.hpp>
#include <unmask/cpu/exact_simd.hpp>
#include <unmask/cpu/row_chunk.hpp>
#include <unmask/cpu/row_reduction.hpp>
#include <unmask/cpu/simd.hpp>
#include <unmask/sampler/row_draw.hpp>
#include <unmask/sampler/row_statistics.hpp>
#include <unmask/tensor/base_2.hpp>
#include <unmask/tensor/exact_math.hpp>

UNMASK_NAMESPACE_BEGIN

/// Which filter comes first when both are given: the second sees what the first left.
enum class filter_order {
    top_k_then_top_p, ///< SDAR, LLaDA2, diffusers
    top_p_then_top_k, ///< Dream
};

namespace detail {

// A draw among the tokens that filters leave. The row is read once, for its sums and the highest logits of small sets of
// tokens; then the chunks with a logit above a bound, under which nothing is kept.
struct row_filter {
    using weighted_token = draw_scratch::weighted_token;

    index_t top_k;
    double top_p;
    filter_order order;

    [[nodiscard]] bool keeps_all(std::size_t size) const {
        return (top_k == 0 || static_cast<std::size_t>(top_k) >= size) && top_p >= 1;
    }

    template <class Logit>
    row_result operator()(const row_draw& how, std::span<const Logit> logits, double uniform,
                          draw_scratch& scratch) const {
        row_reduction row;
        row.choice.uniform = 0.5; // its choice is not used
        scratch.highs.resize((logits.size() + chunk_size - 1) / chunk_size * lanes);
        how.read(row, logits, 0, no_token, scratch.highs.data());
        row_result result{raw_statistics(row), {}};
        if (result.raw.best < 0) {
            return result;
        }
        const double mass = how.sums_of(row.part).with_best().weight;
        const filtered_row<Logit> filtered{how.rule, logits, row.part.highest, scratch};
        if (top_k > 0 && static_cast<std::size_t>(top_k) < logits.size()) {
            filtered.collect_most_likely(static_cast<std::size_t>(top_k));
            if (top_p < 1) {
                filtered.keep_share(top_p * (order == filter_order::top_k_then_top_p ? filtered.sum() : mass));
            }
        } else {
            filtered.collect_share(top_p * mass, mass);
        }
        result.draw = filtered.draw(how, result.raw.best, uniform);
        return result;
    }

private:
    template <class Logit>
    struct filtered_row {
        const weight_rule& rule;
        std::span<const Logit> logits;
        float highest;
        draw_scratch& scratch;

        static bool more_likely(const weighted_token& a, const weighted_token& b) {
            return a.exponent > b.exponent || (a.exponent == b.exponent && a.token < b.token);
        }

        [[nodiscard]] double sum() const {
            double result = 0;
            for (const weighted_token& each : scratch.kept) {
                result += each.weight;
            }
            return result;
        }

        // Keeps the tokens with a logit of at least `bound`, in the order of the vocabulary.
        void collect(float bound) const {
            scratch.kept.clear();
            const float* highs = scratch.highs.data();
            chunk_lines::buffer room;
            for (std::size_t begin = 0; begin < logits.size(); begin += chunk_size, highs += lanes) {
                if (*std::max_element(highs, highs + lanes) >= bound) {
                    const std::size_t size = std::min(chunk_size, logits.size() - begin);
                    collect_chunk(chunk_lines(logits.subspan(begin, size), no_token, room), begin, bound);
                }
            }
        }

        void collect_chunk(const chunk_lines& chunk, std::size_t begin, float bound) const {
            const vfloat lowered = broadcast(-highest);
            for (std::size_t i = 0; i < chunk.count() * chunk.registers() * lanes; i += lanes) {
                const float* here = chunk.at(0, 0) + i;
                if (std::none_of(here, here + lanes, [&](float logit) { return logit >= bound; })) {
                    continue;
                }
                float weights[lanes];
                store(weights, weights_of(load(here) + lowered, rule).weight);
                for (std::size_t lane = 0; lane < lanes; ++lane) {
                    if (here[lane] >= bound && weights[lane] > 0) {
                        const double distance = static_cast<double>(here[lane]) - static_cast<double>(highest);
                        scratch.kept.push_back(
                            {static_cast<token_t>(begin + i + lane), rounded(distance * rule.scale), weights[lane]});
                    }
                }
            }
        }

        // Keeps the `count` most likely tokens. Each set of tokens has one with its highest logit: if there are enough
        // sets, the bound is the count-th of those.
        void collect_most_likely(std::size_t count) const {
            float bound = std::numeric_limits<float>::lowest();
            if (count <= scratch.highs.size()) {
                scratch.logits = scratch.highs;
                const auto last = scratch.logits.begin() + static_cast<std::ptrdiff_t>(count - 1);
                std::nth_element(scratch.logits.begin(), last, scratch.logits.end(), std::greater<>());
                bound = std::max(bound, *last);
            }
            collect(bound);
            if (count < scratch.kept.size()) {
                auto& ranked = scratch.ranked;
                ranked = scratch.kept;
                const auto last = ranked.begin() + static_cast<std::ptrdiff_t>(count - 1);
                std::nth_element(ranked.begin(), last, ranked.end(), more_likely);
                keep_down_to(*last);
            }
        }

        // Keeps the fewest of the most likely tokens whose weights reach `share` of the whole row's `mass`. Less likely
        // ones are collected only if the others don't reach it.
        void collect_share(double share, double mass) const {
            const double size = static_cast<double>(logits.size());
            for (double least = (mass - share) / 256;; least /= 256) {
                const double bound = static_cast<double>(highest) + log_of_sum(least, 0) / rule.scale;
                collect(static_cast<float>(std::max(bound, static_cast<double>(std::numeric_limits<float>::lowest()))));
                const bool rest_is_too_little = least * size < (mass - share) / 4;
                if (rest_is_too_little || sum() >= share) {
                    break;
                }
            }
            keep_share(share);
        }

        // Keeps the fewest of the most likely tokens whose weights reach `share`: looks for the last one by halves.
        void keep_share(double share) const {
            auto& ranked = scratch.ranked;
            ranked = scratch.kept;
            auto begin = ranked.begin(); // those before it are kept
            auto end = ranked.end();     // from here on they are not
            double sum = 0;
            while (end - begin > 1) {
                const auto middle = begin + (end - begin) / 2;
                std::nth_element(begin, middle, end, more_likely);
                double half = 0;
                for (auto each = begin; each != middle; ++each) {
                    half += each->weight;
                }
                if (sum + half >= share) {
                    end = middle;
                } else {
                    sum += half;
                    begin = middle;
                }
            }
            keep_down_to(*begin);
        }

        void keep_down_to(const weighted_token& last) const {
            std::erase_if(scratch.kept, [&](const weighted_token& each) { return more_likely(last, each); });
        }

        // Draws among the kept tokens, in the order of the vocabulary.
        drawn draw(const row_draw& how, token_t best, double uniform) const {
            const auto& kept = scratch.kept;
            weight_sums sums;
            double second = -std::numeric_limits<double>::infinity();
            for (const weighted_token& each : kept) {
                if (each.token != best) {
                    sums.weight += each.weight;
                    sums.moment = fused(each.weight, each.exponent, sums.moment);
                    second = std::max(second, each.exponent);
                }
            }
            drawn result{best, 0, make_statistics(best, second, sums, 1)};
            double exponent = 0;
            if (how.reading != row_reading::statistics) {
                double left = rounded(uniform * sum());
                std::size_t i = 0;
                while (i + 1 < kept.size() && left >= kept[i].weight) {
                    left -= kept[i++].weight;
                }
                result.token = kept[i].token;
                exponent = kept[i].exponent;
            }
            result.log_probability = exponent - result.shaped.log_sum;
            return result;
        }
    };
};

} // namespace detail
UNMASK_NAMESPACE_END
