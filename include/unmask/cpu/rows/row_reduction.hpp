// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <type_traits>

#include <unmask/config.hpp>
#include <unmask/cpu/rows/chunk_sums.hpp>
#include <unmask/cpu/rows/line_reduction.hpp>
#include <unmask/cpu/rows/row_chunk.hpp>
#include <unmask/cpu/simd.hpp>
#include <unmask/numeric/detail/base_2.hpp>
#include <unmask/numeric/detail/row_sums.hpp>
#include <unmask/numeric/detail/weights.hpp>
#include <unmask/numeric/exact_math.hpp>

// Reduces a row of logits in one pass: chunks are joined in double, in ascending order. The result has everything about
// the row except the drawn token, which is in the chosen chunk.

UNMASK_NAMESPACE_BEGIN
namespace detail {

// The reduction of a row so far. Its logits come in any number of tiles in ascending order; each but the last consists
// of whole chunks.
struct row_reduction : row_state {
    // Reads the logits of tokens from `first` on, with −∞ for token `suppressed`. If `highs` is given, the highest
    // logits of disjoint sets of tokens are stored there, `lanes` for each chunk.
    template <row_reading Reading, class Logit, class Highs = std::nullptr_t>
    void read(std::span<const Logit> logits, std::size_t first, std::size_t suppressed, const weight_rule& rule,
              Highs highs = nullptr) {
        constexpr bool tempered = Reading == row_reading::tempered_draw;
        constexpr bool notes = !std::is_same_v<Highs, std::nullptr_t>;
        if (!notes && logits.size() <= chunk_parts && part.best < 0) {
            return read_line<tempered>(logits, first, suppressed, rule);
        }
        const std::size_t full = logits.size() / chunk_size;
        const auto chunk = [&](std::size_t i, chunk_lines::buffer& room) {
            const std::size_t begin = i * chunk_size;
            const auto here = logits.subspan(begin, std::min(chunk_size, logits.size() - begin));
            return chunk_lines(here, suppressed - first - begin, room); // wraps around to a number that is too large
        };
        const auto note = [&]([[maybe_unused]] std::size_t i, [[maybe_unused]] const chunk_top& top) {
            if constexpr (notes) {
                store(highs + i * lanes, top.of_lanes);
            }
        };
        row_reduction row = *this; // a local copy, which stays in registers
        const chunk_adder<tempered> adder(rule);
        chunk_lines::buffer rooms[2];
        if (full > 0) {
            chunk_lines next = chunk(0, rooms[0]);
            chunk_top next_top(next);
            for (std::size_t i = 0; i < full; ++i) {
                const chunk_lines lines = next;
                const chunk_top top = next_top;
                note(i, top);
                if (i + 1 < full) { // or this chunk again, whose result is unused
                    next = chunk(i + 1, rooms[(i + 1) % 2]);
                }
                if (row.is_led_by(top)) {
                    vfloat tops;
                    const chunk_sums sums = adder.of_full(lines, top.highest, next, tops);
                    next_top = chunk_top(tops, next);
                    row.add_led<Reading>(first + i * chunk_size, top, sums, rule);
                } else {
                    const vfloat tops = row.add_other<Reading>(first + i * chunk_size, lines, top, adder, rule, &next);
                    next_top = chunk_top(tops, next);
                }
            }
        }
        if (full * chunk_size < logits.size()) {
            const chunk_lines lines = chunk(full, rooms[0]);
            const chunk_top top(lines);
            note(full, top);
            if (row.is_led_by(top)) {
                row.add_led<Reading>(first + full * chunk_size, top, adder.of(lines, top.highest), rule);
            } else {
                row.add_other<Reading>(first + full * chunk_size, lines, top, adder, rule, nullptr);
            }
        }
        *this = row;
    }

private:
    // Reads the first tokens of a row if they are so few that each part has at most one.
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

    [[nodiscard]] bool is_led_by(const chunk_top& top) const { return !top.nothing() && leads(top.highest); }

    // Adds a chunk with weights but without a more likely token than the row's best.
    template <row_reading Reading>
    [[gnu::always_inline]] void add_led(std::size_t first, const chunk_top& top, const chunk_sums& sums,
                                        const weight_rule& rule) {
        constexpr bool tempered = Reading == row_reading::tempered_draw;
        bad = bad || are_bad(sums.raw);
        add<Reading>(first, top.highest, sums, part_step::between<tempered>(top.highest, part.highest, rule.scale));
    }

    // Adds any other chunk; returns the highest logits in the lanes of `next`, the chunk after a full one. A long row
    // has few of these, a short one has little else.
    template <row_reading Reading, bool Tempered>
    [[gnu::noinline]] vfloat add_other(std::size_t first, const chunk_lines& lines, const chunk_top& top,
                                       const chunk_adder<Tempered>& adder, const weight_rule& rule,
                                       const chunk_lines* next) {
        chunk_best best;
        bad = bad || top.bad || (!top.nothing() && !best.find(lines, top.highest));
        if (bad || top.nothing()) {
            return next != nullptr ? chunk_top::tops_of_lanes(*next) : vfloat{};
        }
        vfloat next_tops{};
        vfloat tops;
        const chunk_sums others = next != nullptr
                                      ? adder.of_full_others(lines, top.highest, best, *next, next_tops, tops)
                                      : adder.of_others(lines, top.highest, best, tops);
        bad = are_bad(others.raw);
        add_leader<Reading>(
            first,
            {top.highest, highest_folded(tops), static_cast<token_t>(first + best.token()), others.raw, others.shaped},
            part_step::between<Tempered>(part.highest, top.highest, rule.scale));
        return next_tops;
    }
};

} // namespace detail
UNMASK_NAMESPACE_END
