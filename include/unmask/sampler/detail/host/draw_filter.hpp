// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include <unmask/config.hpp>
#include <unmask/cpu/rows/exact_simd.hpp>
#include <unmask/cpu/rows/row_chunk.hpp>
#include <unmask/cpu/rows/row_reduction.hpp>
#include <unmask/cpu/simd.hpp>
#include <unmask/numeric/detail/base_2.hpp>
#include <unmask/numeric/detail/falling.hpp>
#include <unmask/numeric/detail/weights.hpp>
#include <unmask/numeric/exact_math.hpp>
#include <unmask/numeric/row_statistics.hpp>
#include <unmask/numeric/token_filter.hpp>
#include <unmask/sampler/row_draw.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// Finds the last token that a filter keeps of a row which has been read: among those with a logit above a bound, which
// is lowered until it is low enough.
template <class Logit>
class floor_search {
public:
    using weighted_token = draw_scratch::weighted_token;

    // `mass` is the sum of the row's weights, and scratch.highs has the highest logits of sets of tokens.
    floor_search(std::span<const Logit> logits, const weight_rule& rule, float highest, double mass,
                 draw_scratch& scratch)
        : logits_(logits), rule_(rule), highest_(highest), mass_(mass), whole_(logits.size()), scratch_(scratch) {}

    [[nodiscard]] token_floor operator()(const token_filter& filter) {
        if (!filter.limits_count(logits_.size())) {
            return share_of_all(filter.top_p);
        }
        const token_floor most_likely = collect_most_likely(static_cast<std::size_t>(filter.top_k));
        if (filter.top_p >= 1) {
            return most_likely;
        }
        const bool of_these = filter.order == filter_order::top_k_then_top_p;
        const std::uint64_t share =
            of_these ? whole_weights::share_of(sum(), filter.top_p) : whole_.from(product_of(filter.top_p, mass_));
        return last_of_share(share);
    }

private:
    static bool more_likely(const weighted_token& a, const weighted_token& b) {
        return a.logit > b.logit || (a.logit == b.logit && a.token < b.token);
    }
    static token_floor floor_at(const weighted_token& last) { return {last.logit, last.token}; }

    [[nodiscard]] std::uint64_t sum() const {
        std::uint64_t result = 0;
        for (const weighted_token& each : scratch_.tokens) {
            result += each.weight;
        }
        return result;
    }

    // Collects the tokens with a logit of at least `bound`.
    void collect(float bound) {
        scratch_.tokens.clear();
        const float* highs = scratch_.highs.data();
        chunk_lines::buffer room;
        for (std::size_t begin = 0; begin < logits_.size(); begin += chunk_size, highs += lanes) {
            if (*std::max_element(highs, highs + lanes) >= bound) {
                const std::size_t size = std::min(chunk_size, logits_.size() - begin);
                collect_chunk(chunk_lines(logits_.subspan(begin, size), no_token, room), begin, bound);
            }
        }
    }

    void collect_chunk(const chunk_lines& chunk, std::size_t begin, float bound) {
        const lane_distances distance_of(highest_, rule_);
        for (std::size_t i = 0; i < chunk.tokens(); i += lanes) {
            const float* here = chunk.at(0, 0) + i;
            std::uint32_t found = lanes_where(load(here) >= bound);
            if (found == 0) {
                continue;
            }
            float weights[lanes];
            store(weights, weights_of(distance_of(load(here)), rule_).weight);
            for (; found != 0; found &= found - 1) {
                const auto lane = static_cast<std::size_t>(std::countr_zero(found));
                scratch_.tokens.push_back(
                    {static_cast<token_t>(begin + i + lane), here[lane], whole_.of(weights[lane])});
            }
        }
    }

    // Collects the `count` most likely tokens. Each set of tokens has one with its highest logit: if there are enough
    // sets, the bound is the count-th of those.
    token_floor collect_most_likely(std::size_t count) {
        float bound = std::numeric_limits<float>::lowest();
        if (count <= scratch_.highs.size()) {
            scratch_.logits = scratch_.highs;
            const auto last = scratch_.logits.begin() + static_cast<std::ptrdiff_t>(count - 1);
            std::nth_element(scratch_.logits.begin(), last, scratch_.logits.end(), falling{});
            bound = std::max(bound, *last);
        }
        collect(bound);
        auto& tokens = scratch_.tokens;
        if (count > tokens.size()) {
            return {}; // they are all that is not −∞
        }
        const auto last = tokens.begin() + static_cast<std::ptrdiff_t>(count - 1);
        std::nth_element(tokens.begin(), last, tokens.end(), more_likely);
        tokens.resize(count);
        return floor_at(tokens.back());
    }

    // The fewest of the most likely tokens whose weights reach a share of all.
    [[nodiscard]] token_floor share_of_all(double top_p) {
        const double share = product_of(top_p, mass_);
        const std::uint64_t wanted = whole_.from(share);
        for (double least = (mass_ - share) / 256;; least /= 256) {
            const double distance =
                least > 0 ? log_of_sum(least, 0) / rule_.scale : static_cast<double>(minus_infinity);
            constexpr float lowest_logit = std::numeric_limits<float>::lowest();
            const double bound = static_cast<double>(highest_) + distance;
            const bool lowest = !(distance > rule_.in_logits(rule_.farthest)) || // there is no weight from here on
                                !(bound > static_cast<double>(lowest_logit));    // or no logit
            collect(lowest ? lowest_logit : static_cast<float>(bound));
            if (sum() >= wanted) {
                return last_of_share(wanted);
            }
            if (lowest) {
                return {};
            }
        }
    }

    // The last of the fewest collected tokens whose weights reach `share`; the last of all if they don't. Looks for it
    // by halves.
    [[nodiscard]] token_floor last_of_share(std::uint64_t share) {
        auto begin = scratch_.tokens.begin(); // those before it are kept
        auto end = scratch_.tokens.end();     // from here on they are not
        std::uint64_t sum = 0;
        while (end - begin > 1) {
            const auto middle = begin + (end - begin) / 2;
            std::nth_element(begin, middle, end, more_likely);
            std::uint64_t half = 0;
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
        return floor_at(*begin);
    }

    std::span<const Logit> logits_;
    const weight_rule& rule_;
    float highest_;
    double mass_;
    whole_weights whole_;
    draw_scratch& scratch_;
};

// Draws from what a filter leaves of a row. The row is read once, and then again, with −∞ in place of what the filter
// drops, where it has a token that is kept.
struct row_filter : token_filter {
    template <class Logit>
    row_result operator()(const row_draw& how, std::span<const Logit> logits, double uniform,
                          draw_scratch& scratch) const {
        row_reduction whole;
        const token_floor last = read(how, logits, whole, scratch);
        row_result result{raw_statistics(whole), {}};
        if (result.raw.best < 0) {
            return result;
        }
        row_reduction kept;
        kept.choice.uniform = uniform;
        chunk_lines::buffer room;
        const float* highs = scratch.highs.data();
        for (std::size_t begin = 0; begin < logits.size(); begin += chunk_size, highs += lanes) {
            if (*std::max_element(highs, highs + lanes) >= last.logit) {
                how.read(kept, kept_of(logits, begin, last, lines::with_a_token, room), begin, no_token);
            }
        }
        kept.part.best = whole.part.best; // which lines that were left out have moved
        result.draw = how.finish(kept, kept_of(logits, kept.choice.first, last, lines::all, room)).draw;
        return result;
    }

    // Reads a row, and finds the last token that is kept.
    template <class Logit>
    token_floor read(const row_draw& how, std::span<const Logit> logits, row_reduction& row,
                     draw_scratch& scratch) const {
        row.choice.uniform = 0.5; // its choice is not used
        scratch.highs.resize((logits.size() + chunk_size - 1) / chunk_size * lanes);
        how.read(row, logits, 0, no_token, scratch.highs.data());
        if (row.bad || row.part.best < 0) {
            return {};
        }
        const double mass = how.sums_of(row.part).with_best().weight;
        return floor_search<Logit>(logits, how.rule, row.part.highest, mass, scratch)(*this);
    }

private:
    enum class lines { all, with_a_token };

    // A chunk, with −∞ in place of what is dropped. Lines without any token that is kept add nothing: without them, the
    // sums are the same.
    template <class Logit>
    static std::span<const float> kept_of(std::span<const Logit> logits, std::size_t begin, const token_floor& last,
                                          lines wanted, chunk_lines::buffer& room) {
        const std::size_t size = std::min(chunk_size, logits.size() - begin);
        const chunk_lines chunk(logits.subspan(begin, size), no_token, room);
        const bool all = wanted == lines::all || chunk.count() == 1;
        vint token = lane_numbers() + static_cast<token_t>(begin);
        float* to = room.logits;
        for (std::size_t line = 0; line < chunk.count(); ++line) {
            vint any{};
            for (std::size_t k = 0; k < chunk.registers(); ++k, token += lanes) {
                const vfloat logit = load(chunk.at(line, k));
                const vint keeps = (logit > last.logit) | ((logit == last.logit) & (token <= last.token));
                store(to + k * lanes, select(keeps, logit, broadcast(minus_infinity)));
                any |= keeps;
            }
            to += all || lanes_where(any) != 0 ? chunk_parts : 0;
        }
        return {room.logits, all ? size : static_cast<std::size_t>(to - room.logits)};
    }
};

} // namespace detail
UNMASK_NAMESPACE_END
