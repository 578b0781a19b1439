// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>

#include <unmask/config.hpp>
#include <unmask/sampler/exact_math.hpp>
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
    UNMASK_HOST_DEVICE weight_sums join(const weight_sums& earlier, const weight_sums& later, double factor) const {
        const weight_sums& high = earlier_is_higher ? earlier : later;
        const weight_sums& low = earlier_is_higher ? later : earlier;
        return {fused(factor, low.total(), high.others),
                fused(factor, fused(distance, low.total(), low.moment), high.moment)};
    }
};

// `later` has higher tokens than `earlier`; neither is empty.
template <bool Tempered>
UNMASK_HOST_DEVICE row_part join(const row_part& earlier, const row_part& later, const part_ratio& ratio) {
    const row_part& high = ratio.earlier_is_higher ? earlier : later;
    const row_part& low = ratio.earlier_is_higher ? later : earlier;
    return {high.highest, high.second < low.highest ? low.highest : high.second, high.best,
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
                uniform = rounded(rounded(reached - offered) / earlier);
                return;
            }
            uniform = rounded(reached / offered);
        }
        first = token;
        highest = logit;
    }
};

// Which results are wanted.
enum class row_reading {
    statistics,     // at temperature 1
    draw,           // and a draw
    tempered_draw,  // at another temperature, whose statistics are wanted too
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
        const weight_adder<tempered> adder(rule);
        const std::size_t full = logits.size() / chunk_size;
        const auto chunk = [&](std::size_t i, chunk_lines::buffer& room) {
            const std::size_t begin = i * chunk_size;
            const auto here = logits.subspan(begin, std::min(chunk_size, logits.size() - begin));
            return chunk_lines(here, suppressed - first - begin, room); // wraps round to a number that is too large
        };
        // The next chunk's peak is looked for before this one is added, to have something to do while either waits.
        chunk_lines::buffer rooms[2];
        chunk_peak peaks[2];
        if (full > 0) {
            chunk_lines next = chunk(0, rooms[0]);
            peaks[0].find<true>(next);
            for (std::size_t i = 0; i < full; ++i) {
                const chunk_lines lines = next;
                if (i + 1 < full) {
                    next = chunk(i + 1, rooms[(i + 1) % 2]);
                    peaks[(i + 1) % 2].find<true>(next);
                }
                const auto* ahead = reinterpret_cast<const char*>(logits.data() + (i + 2) * chunk_size);
                add<Reading, true>(lines, peaks[i % 2], adder, first + i * chunk_size, ahead, rule);
                if (highs != nullptr) {
                    highs = std::copy_n(peaks[i % 2].of_lanes, lanes, highs);
                }
            }
        }
        if (full * chunk_size < logits.size()) {
            const chunk_lines lines = chunk(full, rooms[0]);
            peaks[0].find<false>(lines);
            const auto* ahead = reinterpret_cast<const char*>(logits.data() + logits.size());
            add<Reading, false>(lines, peaks[0], adder, first + full * chunk_size, ahead, rule);
            if (highs != nullptr) {
                std::copy_n(peaks[0].of_lanes, lanes, highs);
            }
        }
    }

private:
    template <row_reading Reading, bool Full, bool Tempered>
    [[gnu::always_inline]] void add(const chunk_lines& lines, const chunk_peak& peak,
                                    const weight_adder<Tempered>& adder, std::size_t first, const char* ahead,
                                    const weight_rule& rule) {
        bad = bad || peak.bad;
        if (peak.empty() || peak.bad) {
            return;
        }
        const chunk_sums sums = adder.template sum<Full>(lines, peak, ahead);
        bad = bad || sums.raw.bad();
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
        const auto ratio = part_ratio::of<Tempered>(part.highest, added.highest, rule.scale);
        if constexpr (Reading != row_reading::statistics) {
            const double earlier = Tempered ? part.shaped.total() : part.raw.total();
            const double later = Tempered ? added.shaped.total() : added.raw.total();
            const double factor = Tempered ? ratio.shaped : ratio.raw;
            choice.offer(ratio.earlier_is_higher ? earlier : rounded(earlier * factor),
                         ratio.earlier_is_higher ? rounded(later * factor) : later, first, peak.highest);
        }
        part = join<Tempered>(part, added, ratio);
    }
};

} // namespace detail
UNMASK_NAMESPACE_END
