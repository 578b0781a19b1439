// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>
#include <type_traits>

#include <unmask/config.hpp>
#include <unmask/sampler/exact_math.hpp>
#include <unmask/sampler/line_reduction.hpp>
#include <unmask/sampler/row_chunk.hpp>
#include <unmask/tensor/base_2.hpp>

// A row of logits in one pass: chunk after chunk, joined in double in rising order. Everything about a row can be read off
// the result but its drawn token, which is in the chunk that was chosen.

UNMASK_NAMESPACE_BEGIN
namespace detail {

inline constexpr std::size_t no_token = std::numeric_limits<std::size_t>::max();

// What is known of some tokens of a row.
struct row_part {
    float highest = minus_infinity;
    float second = minus_infinity; // the highest logit of all but `best`
    token_t best = -1;             // of the tokens with the highest logit, the first; −1: all are −∞
    weight_sums raw;
    weight_sums shaped; // at the draw's temperature, if that is not 1
};

// How two parts come together: the factors that bring their weights to the higher of their logits.
struct part_ratio {
    bool earlier_is_higher;
    double distance; // from the higher one to the lower
    double raw;
    double shaped;

    template <bool Tempered>
    UNMASK_HOST_DEVICE static part_ratio of(float earlier, float later, double scale) {
        const bool earlier_is_higher = earlier >= later;
        const double distance = static_cast<double>(earlier_is_higher ? later : earlier) -
                                static_cast<double>(earlier_is_higher ? earlier : later);
        return {earlier_is_higher, distance, exp_nonpositive(distance),
                Tempered ? exp_nonpositive(rounded(distance * scale)) : 0};
    }

    // All sums, from the higher logit.
    UNMASK_HOST_DEVICE weight_sums join(weight_sums earlier, weight_sums later, double factor) const {
        const weight_sums high = earlier_is_higher ? earlier : later;
        const weight_sums low = earlier_is_higher ? later : earlier;
        return {fused(factor, low.total(), high.others),
                fused(factor, fused(distance, low.total(), low.moment), high.moment)};
    }
};

// `later` has higher tokens than `earlier`; neither is empty.
template <bool Tempered>
[[gnu::always_inline]] UNMASK_HOST_DEVICE inline row_part join(const row_part& earlier, const row_part& later,
                                                               const part_ratio& ratio) {
    const bool first = ratio.earlier_is_higher;
    const float second = first ? earlier.second : later.second; // of the higher part; then comes the lower's highest
    const float lower = first ? later.highest : earlier.highest;
    return {first ? earlier.highest : later.highest, second < lower ? lower : second, first ? earlier.best : later.best,
            ratio.join(earlier.raw, later.raw, ratio.raw),
            Tempered ? ratio.join(earlier.shaped, later.shaped, ratio.shaped) : weight_sums{}};
}

// A choice between parts that come one after the other, each with its share of the weight so far, by one number: of what
// chose, the rest is as random as before, and chooses again.
struct part_choice {
    double uniform = 0;             // in (0, 1)
    std::size_t first = no_token;   // the first token of the part that was chosen
    float highest = minus_infinity; // and its highest logit

    UNMASK_HOST_DEVICE void offer(double earlier, double offered, std::size_t token, float logit) {
        if (earlier > 0) {
            const double reached = rounded(uniform * rounded(earlier + offered));
            if (reached >= offered) {
                uniform = quotient(rounded(reached - offered), earlier);
                return;
            }
            uniform = quotient(reached, offered);
        }
        first = token;
        highest = logit;
    }
};

// Which results are wanted.
enum class row_reading {
    statistics,    // at temperature 1
    draw,          // and a draw
    tempered_draw, // at another temperature, whose statistics are wanted too
};

// A row so far. Its logits come in any number of tiles, whose tokens rise; each but the last is whole chunks.
struct row_reduction {
    row_part part;
    part_choice choice;
    bool bad = false; // a logit was NaN or +∞

    // Reads `logits`, of tokens from `first` on, with −∞ in place of that of token `suppressed`. If `highs` is given, it
    // gets the highest logits of disjoint sets of tokens, `lanes` for each chunk.
    template <row_reading Reading, class Logit>
    void read(std::span<const Logit> logits, std::size_t first, std::size_t suppressed, const weight_rule& rule,
              float* highs = nullptr) {
        constexpr bool tempered = Reading == row_reading::tempered_draw;
        if (logits.size() <= chunk_parts && part.best < 0 && highs == nullptr) {
            return read_line<tempered>(logits, first, suppressed, rule);
        }
        const std::size_t full = logits.size() / chunk_size;
        const auto chunk = [&](std::size_t i, chunk_lines::buffer& room) {
            const std::size_t begin = i * chunk_size;
            const auto here = logits.subspan(begin, std::min(chunk_size, logits.size() - begin));
            return chunk_lines(here, suppressed - first - begin, room); // wraps round to a number that is too large
        };
        row_reduction row = *this; // a copy that needs no memory
        const auto add = [&](std::size_t i, const chunk_lines& lines, const chunk_peak& peak, const chunk_sums& sums) {
            if (highs != nullptr) {
                store(highs + i * lanes, peak.of_lanes);
            }
            row.add<Reading>(first + i * chunk_size, lines, peak, sums, rule);
        };
        const weight_adder<tempered> adder(rule);
        chunk_lines::buffer rooms[2];
        chunk_peak peaks[2];
        if (full > 0) {
            chunk_lines next = chunk(0, rooms[0]);
            peaks[0].find_lines<true>(next);
            peaks[0].find<true>(next);
            for (std::size_t i = 0; i < full; ++i) {
                const chunk_lines lines = next;
                chunk_peak& peak = peaks[i % 2];
                chunk_peak& next_peak = peaks[(i + 1) % 2];
                if (i + 1 < full) { // or this one once more, for nothing
                    next = chunk(i + 1, rooms[(i + 1) % 2]);
                }
                const chunk_sums sums = adder.template sum<true>(lines, peak, next, next_peak);
                next_peak.find<true>(next);
                add(i, lines, peak, sums);
            }
        }
        if (full * chunk_size < logits.size()) {
            const chunk_lines lines = chunk(full, rooms[0]);
            peaks[0].find_lines<false>(lines);
            peaks[0].find<false>(lines);
            add(full, lines, peaks[0], adder.template sum<false>(lines, peaks[0], lines, peaks[1]));
        }
        *this = row;
    }

private:
    // The same for the only tokens so far, if they are so few that each part has at most one.
    template <bool Tempered, class Logit>
    void read_line(std::span<const Logit> logits, std::size_t first, std::size_t suppressed, const weight_rule& rule) {
        chunk_lines::buffer room;
        const chunk_lines lines(logits, suppressed - first, room);
        const auto read = [&](auto registers) {
            const line_reduction<Tempered, decltype(registers)::value> line(lines, rule);
            bad = bad || line.bad;
            if (line.best >= 0) {
                part = {line.highest, line.second, line.best + static_cast<token_t>(first), line.raw, line.shaped};
                choice.first = first;
                choice.highest = line.highest;
            }
        };
        const std::size_t registers = lines.registers();
        registers <= 1   ? read(std::integral_constant<std::size_t, 1>())
        : registers <= 2 ? read(std::integral_constant<std::size_t, 2>())
        : registers <= 4 ? read(std::integral_constant<std::size_t, 4>())
                         : read(std::integral_constant<std::size_t, chunk_lines::full_registers>());
    }

    template <row_reading Reading>
    [[gnu::always_inline]] void add(std::size_t first, const chunk_lines& lines, const chunk_peak& peak,
                                    const chunk_sums& sums, const weight_rule& rule) {
        constexpr bool tempered = Reading == row_reading::tempered_draw;
        bad = bad || peak.bad || sums.raw.bad();
        if (peak.nothing()) {
            return;
        }
        row_part added{peak.highest, minus_infinity, static_cast<token_t>(first + peak.token()), sums.raw, sums.shaped};
        if (peak.highest > part.highest) { // or the second is not above what the row has
            added.second = peak.second(lines);
        }
        if (part.best < 0) {
            part = added;
            choice.first = first;
            choice.highest = peak.highest;
            return;
        }
        const auto ratio = part_ratio::of<tempered>(part.highest, added.highest, rule.scale);
        if constexpr (Reading != row_reading::statistics) {
            const double earlier = tempered ? part.shaped.total() : part.raw.total();
            const double later = tempered ? added.shaped.total() : added.raw.total();
            const double factor = tempered ? ratio.shaped : ratio.raw;
            choice.offer(ratio.earlier_is_higher ? earlier : rounded(earlier * factor),
                         ratio.earlier_is_higher ? rounded(later * factor) : later, first, peak.highest);
        }
        part = join<tempered>(part, added, ratio);
    }
};

} // namespace detail
UNMASK_NAMESPACE_END
