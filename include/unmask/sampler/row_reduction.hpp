// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>
#include <type_traits>

#include <unmask/config.hpp>
#include <unmask/cpu/simd.hpp>
#include <unmask/sampler/chunk_sums.hpp>
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
    weight_sums raw;               // of all but `best`, as its weight is 1: added to that, small ones would be lost
    weight_sums shaped;            // the same at the draw's temperature, if that is not 1
};

// Brings sums from one logit to a higher one.
struct part_step {
    double distance; // at most 0
    double raw;      // what weights are multiplied by
    double shaped;   // the same at the draw's temperature

    template <bool Tempered>
    UNMASK_HOST_DEVICE static part_step between(float lower, float higher, double scale) {
        const double distance = static_cast<double>(lower) - static_cast<double>(higher);
        return {distance, exp_nonpositive(distance), Tempered ? exp_nonpositive(rounded(distance * scale)) : 0};
    }

    // Adds `lower` to sums from the higher logit.
    UNMASK_HOST_DEVICE weight_sums add(const weight_sums& higher, const weight_sums& lower, double factor) const {
        return {fused(factor, lower.weight, higher.weight),
                fused(factor, fused(distance, lower.weight, lower.moment), higher.moment)};
    }
    // Adds a part with the lower logit to one with the higher.
    template <bool Tempered>
    UNMASK_HOST_DEVICE void add_to(row_part& higher, const row_part& lower) const {
        higher.second = higher.second < lower.highest ? lower.highest : higher.second;
        higher.raw = add(higher.raw, lower.raw.with_best(), raw);
        if constexpr (Tempered) {
            higher.shaped = add(higher.shaped, lower.shaped.with_best(), shaped);
        }
    }
};

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
        const auto note = [&](std::size_t i, const chunk_top& top) {
            if (highs != nullptr) {
                store(highs + i * lanes, top.of_lanes);
            }
        };
        row_reduction row = *this; // a copy that needs no memory
        const chunk_adder<tempered> adder(rule);
        chunk_lines::buffer rooms[2];
        if (full > 0) {
            chunk_lines next = chunk(0, rooms[0]);
            chunk_top next_top(next);
            for (std::size_t i = 0; i < full; ++i) {
                const chunk_lines lines = next;
                const chunk_top top = next_top;
                note(i, top);
                if (i + 1 < full) { // or this one once more, for nothing
                    next = chunk(i + 1, rooms[(i + 1) % 2]);
                }
                if (row.is_led_by(top)) {
                    vfloat tops;
                    const chunk_sums sums = adder.of_full(lines, top.highest, next, tops);
                    next_top = chunk_top(tops, next);
                    row.add<Reading>(first + i * chunk_size, top, sums, rule);
                } else {
                    row.add_leader<Reading>(first + i * chunk_size, lines, top, adder, rule);
                    next_top = chunk_top(next);
                }
            }
        }
        if (full * chunk_size < logits.size()) {
            const chunk_lines lines = chunk(full, rooms[0]);
            const chunk_top top(lines);
            note(full, top);
            if (row.is_led_by(top)) {
                row.add<Reading>(first + full * chunk_size, top, adder.of(lines, top.highest), rule);
            } else {
                row.add_leader<Reading>(first + full * chunk_size, lines, top, adder, rule);
            }
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
        : registers <= 8 ? read(std::integral_constant<std::size_t, 8>())
                         : read(std::integral_constant<std::size_t, chunk_lines::full_registers>());
    }

    // Whether a chunk has something to add, and no more likely token than the row has already.
    [[nodiscard]] bool is_led_by(const chunk_top& top) const {
        return part.best >= 0 && !top.nothing() && top.highest <= part.highest;
    }

    // Adds such a chunk.
    template <row_reading Reading>
    [[gnu::always_inline]] void add(std::size_t first, const chunk_top& top, const chunk_sums& sums,
                                    const weight_rule& rule) {
        constexpr bool tempered = Reading == row_reading::tempered_draw;
        bad = bad || sums.raw.bad();
        const auto step = part_step::between<tempered>(top.highest, part.highest, rule.scale);
        if constexpr (Reading == row_reading::draw) {
            choice.offer(part.raw.with_best().weight, rounded(step.raw * sums.raw.weight), first, top.highest);
        } else if constexpr (tempered) {
            choice.offer(part.shaped.with_best().weight, rounded(step.shaped * sums.shaped.weight), first, top.highest);
        }
        part.second = part.second < top.highest ? top.highest : part.second;
        part.raw = step.add(part.raw, sums.raw, step.raw);
        if constexpr (tempered) {
            part.shaped = step.add(part.shaped, sums.shaped, step.shaped);
        }
    }

    // Adds any other. There are few in a row.
    template <row_reading Reading, bool Tempered>
    [[gnu::noinline]] void add_leader(std::size_t first, const chunk_lines& lines, const chunk_top& top,
                                      const chunk_adder<Tempered>& adder, const weight_rule& rule) {
        chunk_best best;
        bad = bad || top.bad || (!top.nothing() && !best.find(lines, top.highest));
        if (bad || top.nothing()) {
            return;
        }
        const chunk_sums others = adder.of_others(lines, top.highest, best);
        bad = others.raw.bad();
        row_part leader{top.highest, best.second(lines), static_cast<token_t>(first + best.token()), others.raw,
                        others.shaped};
        if (part.best < 0) {
            choice.first = first;
            choice.highest = top.highest;
        } else {
            const auto step = part_step::between<Tempered>(part.highest, top.highest, rule.scale);
            if constexpr (Reading == row_reading::draw) {
                choice.offer(rounded(step.raw * part.raw.with_best().weight), leader.raw.with_best().weight, first,
                             top.highest);
            } else if constexpr (Tempered) {
                choice.offer(rounded(step.shaped * part.shaped.with_best().weight), leader.shaped.with_best().weight,
                             first, top.highest);
            }
            step.template add_to<Tempered>(leader, part);
        }
        part = leader;
    }
};

} // namespace detail
UNMASK_NAMESPACE_END
