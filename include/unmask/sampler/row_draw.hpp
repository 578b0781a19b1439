// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/sampler/chunk_draw.hpp>
#include <unmask/sampler/exact_math.hpp>
#include <unmask/sampler/row_chunk.hpp>
#include <unmask/sampler/row_reduction.hpp>
#include <unmask/sampler/row_statistics.hpp>

UNMASK_NAMESPACE_BEGIN

/// What a draw gives.
struct drawn {
    token_t token = -1;
    double log_probability = 0; ///< of the token in the distribution that it was drawn from
    row_statistics shaped;      ///< of that distribution
};

/// Memory that a draw may use as it likes; one for each worker, kept from row to row.
struct draw_scratch {
    struct weighted_token {
        token_t token;
        double exponent; ///< (logit − the highest) / temperature
        double weight;   ///< exp of it
    };
    std::vector<weighted_token> kept;   ///< in the order of the vocabulary
    std::vector<weighted_token> ranked; ///< the same in any order
    std::vector<float> highs;           ///< the highest logits of sets of tokens
    std::vector<float> logits;          ///< a row of another type
};

namespace detail {

// All that the sampler needs of a row.
struct row_result {
    row_statistics raw; // at temperature 1, of all tokens
    drawn draw;
};

// A draw among all tokens: the most likely one, or one at random at some temperature.
struct row_draw {
    row_reading reading = row_reading::statistics;
    weight_rule rule{1};

    static row_draw at_temperature(double temperature) {
        constexpr double cold = 1e-300; // from here down the inverse may not be finite
        if (temperature < cold) {
            return {};
        }
        return {temperature == 1 ? row_reading::draw : row_reading::tempered_draw, weight_rule(1 / temperature)};
    }

    template <class Logit>
    void read(row_reduction& row, std::span<const Logit> logits, std::size_t first, std::size_t suppressed,
              float* highs = nullptr) const {
        switch (reading) {
        case row_reading::statistics:
            return row.read<row_reading::statistics>(logits, first, suppressed, rule, highs);
        case row_reading::draw:
            return row.read<row_reading::draw>(logits, first, suppressed, rule, highs);
        case row_reading::tempered_draw:
            return row.read<row_reading::tempered_draw>(logits, first, suppressed, rule, highs);
        }
    }

    // The sums of what is drawn from.
    [[nodiscard]] const weight_sums& sums_of(const row_part& part) const {
        return reading == row_reading::tempered_draw ? part.shaped : part.raw;
    }

    // The statistics of what is drawn from.
    [[nodiscard]] row_statistics shaped_statistics(const row_statistics& raw, const row_part& row) const {
        return reading == row_reading::tempered_draw
                   ? make_statistics(raw.best, rounded(raw.second * rule.scale), row.shaped, rule.scale)
                   : raw;
    }

    // What a row that has been read gives. The chunk that was chosen is looked at again to find the token, if one is drawn.
    template <class Logit>
    [[nodiscard]] row_result finish(const row_reduction& row, std::span<const Logit> chosen) const {
        row_result result{raw_statistics(row), {}};
        if (result.raw.best < 0) {
            return result;
        }
        result.draw = {result.raw.best, 0, shaped_statistics(result.raw, row.part)};
        double exponent = 0;
        if (reading != row_reading::statistics) {
            chunk_lines::buffer room;
            const chunk_lines lines(chosen, no_token, room);
            const std::size_t token = chunk_draw(lines, row.choice.highest, rule)(row.choice.uniform);
            const double distance = static_cast<double>(lines.at(0, 0)[token]) - static_cast<double>(row.part.highest);
            result.draw.token = static_cast<token_t>(row.choice.first + token);
            exponent = rounded(distance * rule.scale);
        }
        result.draw.log_probability = exponent - result.draw.shaped.log_sum;
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
