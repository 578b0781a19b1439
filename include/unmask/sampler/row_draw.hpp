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

/// Memory that a draw may use as it likes; one for each worker, kept from row to row.
struct draw_scratch {
    struct weighted_token {
        token_t token;
        float logit;
        std::uint64_t weight; ///< as a whole number
    };
    std::vector<weighted_token> tokens; ///< that a filter may keep, in any order
    std::vector<float> highs;           ///< the highest logits of sets of tokens
    std::vector<float> logits;          ///< a row of another type
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

    // What a row that has been read gives. The chunk that was chosen is looked at again to find the token, if one is drawn.
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
    const std::size_t first = std::min(row.choice.first, logits.size()); // or none was chosen
    return how.finish(row, logits.subspan(first, std::min(chunk_size, logits.size() - first)));
}

} // namespace detail
UNMASK_NAMESPACE_END
