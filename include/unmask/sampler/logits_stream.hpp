// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/cpu/rows/row_chunk.hpp>
#include <unmask/cpu/rows/row_reduction.hpp>
#include <unmask/error.hpp>
#include <unmask/numeric/row_statistics.hpp>
#include <unmask/sampler/draw/draw.hpp>
#include <unmask/sampler/row_draw.hpp>
#include <unmask/sampler/vocabulary.hpp>
#include <unmask/tensor/float_types.hpp>

UNMASK_NAMESPACE_BEGIN

namespace detail {

// Draws that need no more of a row than one reading: a logits_stream has them.
template <class Draw>
concept streaming_draw = std::same_as<Draw, greedy> || std::same_as<Draw, categorical>;

// Throws invalid_argument for a draw with filters.
template <streaming_draw Draw>
row_draw row_draw_of(const char* function, [[maybe_unused]] const Draw& draw) {
    if constexpr (std::same_as<Draw, categorical>) {
        if (draw.top_k != 0 || draw.top_p < 1) {
            const bool by_count = draw.top_k != 0;
            throw invalid_argument(function, by_count ? "categorical.top_k" : "categorical.top_p",
                                   by_count ? std::to_string(draw.top_k) : std::to_string(draw.top_p),
                                   by_count ? "0: no such filter" : "1: no such filter");
        }
        return row_draw::at_temperature(draw.temperature);
    } else {
        return {};
    }
}

// The result of a streamed row, with log-probabilities at temperature 1, before the draw's temperature.
struct streamed_row {
    row_result result;
    double drawn_log_probability = 0;
    double held_log_probability = -std::numeric_limits<double>::infinity();
};

} // namespace detail

/// The destination of a model that writes the logits of a call tile by tile, so that no row is ever stored: the sampler
/// reads each tile while it is in the cache and doesn't keep it.
///
///     stream.write(i, begin, tile); // the logits of tokens [begin, begin + tile.size()) of the i-th requested row
///
/// The tiles of a row are written in ascending order of tokens, without gaps. The length of each is a multiple of
/// `tile_unit` tokens, except for the last, which ends with the vocabulary. Each row is written once, to its end. −∞
/// forbids a token; NaN, +∞ and a row of −∞ alone are errors that the sampler reports. The mask token's logit is not
/// read. Statistics and the drawn token are those of a stored row, bit for bit.
///
/// Memory: about 200 bytes per row, and 4 KiB more per row if tokens are drawn at random. Threads may write different
/// rows concurrently, but not the same row.
class logits_stream {
public:
    static constexpr index_t tile_unit = detail::chunk_size; ///< tokens in the shortest inner tile

    /// A stream that expects no rows yet. For the sampler, like all members after write().
    explicit logits_stream(const vocabulary& tokens) : tokens_(tokens) {}

    /// Number of rows that are expected.
    [[nodiscard]] index_t rows() const { return std::ssize(rows_); }
    /// Number of logits in a row.
    [[nodiscard]] index_t row_size() const { return tokens_.size; }

    /// Writes the next tile of a row, the logits of tokens [begin, begin + tile.size()). Throws invalid_argument, with
    /// nothing changed, if the row, `begin` or the length is not the next tile's. Work: one pass over the tile.
    void write(index_t row, index_t begin, std::span<const float> tile) { read(row, begin, tile); }
    /// The same for bfloat16 logits.
    void write(index_t row, index_t begin, std::span<const bfloat16> tile) { read(row, begin, tile); }

    /// Discards all rows and expects `count` new ones; expect() must then be called for each.
    void reset(index_t count) {
        rows_.assign(static_cast<std::size_t>(count), {});
        chosen_.clear();
    }

    /// Sets how the token of a row is drawn: by `draw`, from a uniform number in (0, 1). `held` is a token whose
    /// log-probability is also computed. Throws invalid_argument if `draw` is a categorical with filters. Must not be
    /// called while another thread writes.
    template <detail::streaming_draw Draw>
    void expect(index_t row, const Draw& draw, double uniform, token_t held = -1) {
        const detail::row_draw how = detail::row_draw_of("logits_stream.expect", draw);
        row_state& state = rows_[static_cast<std::size_t>(row)];
        state = {};
        state.how = how;
        state.reduction.choice.uniform = uniform;
        state.held = held;
        if (state.how.reading != detail::row_reading::statistics) {
            chosen_.resize(rows_.size() * chosen_size());
        }
    }

    /// A description of a row's error that completes "the logits of … are"; empty if the row has a distribution.
    [[nodiscard]] std::string fault(index_t row) const {
        const row_state& state = rows_[static_cast<std::size_t>(row)];
        if (state.bad_token >= 0) {
            return (state.bad_is_infinite ? "+infinity at token " : "NaN at token ") + std::to_string(state.bad_token);
        }
        if (state.read < size()) {
            return "missing from token " + std::to_string(state.read) + " on";
        }
        return state.reduction.part.best < 0 ? "-infinity for every token" : "";
    }

    /// The statistics and the drawn token of a row; `best` is −1 if the row has a fault.
    [[nodiscard]] detail::streamed_row result(index_t row) const {
        const row_state& state = rows_[static_cast<std::size_t>(row)];
        const auto chosen = chosen_of(static_cast<std::size_t>(row));
        detail::streamed_row all{state.how.finish(state.reduction, chosen)};
        if (all.result.raw.best < 0) {
            return all;
        }
        const float highest = state.reduction.part.highest;
        const double log_sum = all.result.raw.log_sum;
        float drawn_logit = highest;
        if (state.how.reading != detail::row_reading::statistics) {
            const auto token = static_cast<std::size_t>(all.result.draw.token);
            drawn_logit = chosen[token - state.reduction.choice.first];
        }
        all.drawn_log_probability = detail::log_probability_of(drawn_logit, highest, log_sum);
        all.held_log_probability = detail::log_probability_of(state.held_logit, highest, log_sum);
        return all;
    }

private:
    struct row_state {
        detail::row_draw how{};
        detail::row_reduction reduction{};
        std::size_t read = 0;   // tokens read so far
        index_t bad_token = -1; // the first token whose logit is NaN or +∞
        bool bad_is_infinite = false;
        token_t held = -1;
        float held_logit = detail::minus_infinity;
    };

    [[nodiscard]] std::size_t size() const { return static_cast<std::size_t>(tokens_.size); }
    // The logits of a row's chosen chunk.
    [[nodiscard]] std::size_t chosen_size() const { return std::min(size(), detail::chunk_size); }
    [[nodiscard]] std::span<const float> chosen_of(std::size_t row) const {
        const detail::row_reduction& reduction = rows_[row].reduction;
        if (chosen_.empty() || reduction.part.best < 0) {
            return {};
        }
        const std::size_t count = std::min(chosen_size(), size() - reduction.choice.first);
        return {chosen_.data() + row * chosen_size(), count};
    }

    template <class Logit>
    void read(index_t row, index_t begin, std::span<const Logit> tile) {
        check(row, begin, std::ssize(tile));
        row_state& state = rows_[static_cast<std::size_t>(row)];
        const std::size_t first = state.read;
        const std::size_t mask = tokens_.mask >= 0 && tokens_.mask < tokens_.size
                                     ? static_cast<std::size_t>(tokens_.mask)
                                     : detail::no_token;
        state.how.read(state.reduction, tile, first, mask);
        state.read += tile.size();
        if (const auto held = static_cast<std::size_t>(state.held); state.held >= 0 && held - first < tile.size()) {
            state.held_logit = held == mask ? detail::minus_infinity : static_cast<float>(tile[held - first]);
        }
        const std::size_t chosen = state.reduction.choice.first;
        if (state.how.reading != detail::row_reading::statistics && chosen - first < tile.size()) {
            const auto chunk = tile.subspan(chosen - first, std::min(chosen_size(), first + tile.size() - chosen));
            float* copy = chosen_.data() + static_cast<std::size_t>(row) * chosen_size();
            std::copy(chunk.begin(), chunk.end(), copy);
            if (mask - chosen < chunk.size()) {
                copy[mask - chosen] = detail::minus_infinity;
            }
        }
        if (state.reduction.bad && state.bad_token < 0) {
            note_bad(state, first, mask, tile);
        }
    }

    template <class Logit>
    static void note_bad(row_state& state, std::size_t first, std::size_t mask, std::span<const Logit> tile) {
        for (std::size_t i = 0; i < tile.size(); ++i) {
            const auto logit = static_cast<float>(tile[i]);
            if (first + i != mask && detail::is_bad_logit(logit)) {
                state.bad_token = static_cast<index_t>(first + i);
                state.bad_is_infinite = detail::bits_as<std::uint32_t>(logit) == 0x7f800000U;
                return;
            }
        }
    }

    void check(index_t row, index_t begin, index_t count) const {
        const auto expects = [](bool holds, const char* argument, index_t was, const std::string& expected) {
            if (!holds) {
                throw invalid_argument("logits_stream.write", argument, std::to_string(was), expected);
            }
        };
        expects(row >= 0 && row < rows(), "row", row, "in [0, " + std::to_string(rows()) + ")");
        const auto next = static_cast<index_t>(rows_[static_cast<std::size_t>(row)].read);
        expects(begin == next, "begin", begin, "where the row's last tile ended, " + std::to_string(next));
        const index_t left = tokens_.size - begin;
        const bool fits = count > 0 && (count == left || (count < left && count % tile_unit == 0));
        expects(fits, "tile.size()", count,
                "a multiple of " + std::to_string(tile_unit) + ", or what the row lacks, " + std::to_string(left));
    }

    vocabulary tokens_;
    std::vector<row_state> rows_;
    std::vector<float> chosen_; // [rows, chosen_size()]
};

UNMASK_NAMESPACE_END
