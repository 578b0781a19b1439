// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/cpu/rows/chunk_draw.hpp>
#include <unmask/cpu/rows/row_chunk.hpp>
#include <unmask/cpu/rows/row_reduction.hpp>
#include <unmask/numeric/detail/row_sums.hpp>
#include <unmask/numeric/exact_math.hpp>
#include <unmask/numeric/row_statistics.hpp>

UNMASK_NAMESPACE_BEGIN

/// Scratch memory of a draw: one for each worker, reused from row to row, with no meaning between rows.
struct draw_scratch {
    /// A token and its weight in a distribution.
    struct weighted_token {
        token_t token;        ///< the token
        float logit;          ///< its logit
        std::uint64_t weight; ///< its weight, as an integer
    };
    std::vector<weighted_token> tokens; ///< the tokens that a filter may keep, in any order
    std::vector<float> highs;           ///< the highest logits of sets of tokens
    std::vector<float> logits;          ///< a row converted to float
};

namespace detail {

// A draw that reads rows on the CPU.
struct row_draw : row_rule {
    static row_draw at_temperature(double temperature) { return {row_rule::at_temperature(temperature)}; }

    template <class Logit, class Highs = std::nullptr_t>
    void read(row_reduction& row, std::span<const Logit> logits, std::size_t first, std::size_t suppressed,
              Highs highs = nullptr) const {
        with_reading(reading,
                     [&](auto wanted) { row.read<decltype(wanted)::value>(logits, first, suppressed, rule, highs); });
    }

    // The result of a row that has been read. If a token is drawn, it is looked up in the chosen
    // chunk, which is read again.
    template <class Logit>
    [[nodiscard]] row_result finish(const row_reduction& row, std::span<const Logit> chosen) const {
        row_result result{raw_statistics(row), {}};
        if (result.raw.best < 0) {
            return result;
        }
        token_t token = result.raw.best;
        float logit = row.part.highest;
        if (reading != row_reading::statistics) {
            chunk_lines::buffer room;
            const chunk_lines lines(chosen, no_token, room);
            const std::size_t place = chunk_draw(lines, row.choice.highest, rule)(row.choice.uniform);
            token = static_cast<token_t>(row.choice.first + place);
            logit = lines.at(0, 0)[place];
        }
        result.draw = draw_of(result.raw, row.part, token, logit);
        return result;
    }
};

// Reads a row and draws its token.
template <class Logit>
row_result read_row(const row_draw& how, std::span<const Logit> logits, double uniform) {
    row_reduction row;
    row.choice.uniform = uniform;
    how.read(row, logits, 0, no_token);
    const std::size_t first = std::min(row.choice.first, logits.size()); // no chunk may have been chosen
    return how.finish(row, logits.subspan(first, std::min(chunk_size, logits.size() - first)));
}

} // namespace detail
UNMASK_NAMESPACE_END
