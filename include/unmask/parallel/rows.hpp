// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/cpu/rows/row_reduction.hpp>
#include <unmask/error.hpp>
#include <unmask/executor/executor.hpp>
#include <unmask/numeric/row_statistics.hpp>
#include <unmask/parallel/communicator.hpp>
#include <unmask/sampler/logits_stream.hpp>
#include <unmask/sampler/row_draw.hpp>
#include <unmask/sampler/vocabulary.hpp>
#include <unmask/tensor/tensor_view.hpp>

UNMASK_NAMESPACE_BEGIN

/// Some tokens of a vocabulary: [begin, end).
struct token_range {
    index_t begin = 0; ///< the first
    index_t end = 0;   ///< the one behind the last

    /// How many there are.
    [[nodiscard]] index_t size() const { return end - begin; }
};

/// The tokens of a rank, of `ranks`: about as many for each, in whole tiles of logits_stream::tile_unit tokens but for
/// the last. A rank may have none. Throws invalid_argument if there is no such rank.
inline token_range tokens_of_rank(const vocabulary& tokens, int rank, int ranks) {
    if (rank < 0 || rank >= ranks) {
        throw invalid_argument("tokens_of_rank", "rank", std::to_string(rank), "0 to " + std::to_string(ranks - 1));
    }
    const index_t unit = logits_stream::tile_unit;
    const index_t units = (tokens.size + unit - 1) / unit;
    const auto first_of = [&](int of) { return std::min<index_t>(tokens.size, units * of / ranks * unit); };
    return {first_of(rank), first_of(rank + 1)};
}

/// What is known of a row whose logits no rank has all of.
struct drawn_row {
    row_statistics statistics; ///< at temperature 1; `best` is −1 if a logit is NaN or +∞, or all are −∞
    drawn draw;                ///< meaningless if `best` is −1
};

namespace detail {

// Rows go from rank to rank in groups, so that all ranks have some to read.
inline constexpr index_t groups_a_rank = 4;

// Reads every row where the rank before this one left it, and leaves it to the next; in the end, all ranks know all.
template <communicator C, class Read>
void read_along(const C& c, std::span<row_reduction> rows, const Read& read) {
    const index_t groups = std::clamp<index_t>(groups_a_rank * c.size(), 1, std::max<index_t>(1, std::ssize(rows)));
    const auto group = [&](index_t i) {
        const auto begin = static_cast<std::size_t>(i * std::ssize(rows) / groups);
        return rows.subspan(begin, static_cast<std::size_t>((i + 1) * std::ssize(rows) / groups) - begin);
    };
    const bool is_first = c.rank() == 0;
    const int last = c.size() - 1;
    std::vector<decltype(exchange<C, row_reduction>(c, 0, {}, 0, {}))> arriving;
    std::vector<decltype(exchange<C, row_reduction>(c, 0, {}, 0, {}))> leaving;
    for (index_t i = 0; i < groups && !is_first; ++i) {
        arriving.push_back(exchange<C, row_reduction>(c, 0, {}, c.rank() - 1, group(i)));
    }
    for (index_t i = 0; i < groups; ++i) {
        if (!is_first) {
            arriving[static_cast<std::size_t>(i)].wait();
        }
        read(group(i).data() - rows.data(), std::ssize(group(i)));
        if (c.rank() != last) {
            leaving.push_back(exchange<C, row_reduction>(c, c.rank() + 1, group(i), 0, {}));
        }
    }
    for (auto& request : leaving) {
        request.wait();
    }
    broadcast(c, rows, last);
}

} // namespace detail

/// Statistics and draws of rows whose logits are divided among the ranks of a communicator by token: what one machine
/// finds in whole rows, bit for bit, on every rank. `logits` is [rows, tokens_of_rank(tokens, rank, size).size()], of
/// this rank's tokens; the mask token's are not read. `uniforms` is [rows], in (0, 1). The draw is greedy or a
/// categorical. Rows, draw, vocabulary and uniforms are the same on all ranks.
///
/// Throws invalid_argument if the logits have another shape, uniforms another length, or the draw has filters, and
/// communication_error as exchange does. Work: one pass over the logits of this rank, by all threads of the executor;
/// a row is read by one rank after another, and ranks work on different rows meanwhile. Sends about 150 bytes a row to
/// the next rank, and the last one to all.
template <communicator C, host_executor Executor, detail::streaming_draw Draw, class Logit>
std::vector<drawn_row> draw_rows(const C& c, const Executor& exec, const Draw& draw, const vocabulary& tokens,
                                 const tensor_view<const Logit, 2>& logits, std::span<const double> uniforms) {
    const token_range mine = tokens_of_rank(tokens, c.rank(), c.size());
    const index_t count = logits.extents[0];
    const auto expects = [](bool condition, const char* argument, index_t was, index_t expected) {
        if (!condition) {
            throw invalid_argument("draw_rows", argument, std::to_string(was), std::to_string(expected));
        }
    };
    expects(logits.extents[1] == mine.size(), "logits.extents[1]", logits.extents[1], mine.size());
    expects(std::ssize(uniforms) == count, "uniforms.size()", std::ssize(uniforms), count);
    const detail::row_draw how = detail::row_draw_of("draw_rows", draw);
    const std::size_t mask =
        tokens.mask >= 0 && tokens.mask < tokens.size ? static_cast<std::size_t>(tokens.mask) : detail::no_token;
    const auto row_of = [&](index_t row) {
        return std::span(logits.pointer(row), static_cast<std::size_t>(mine.size()));
    };

    std::vector<detail::row_reduction> rows(static_cast<std::size_t>(count));
    for (std::size_t row = 0; row < rows.size(); ++row) {
        rows[row].choice.uniform = uniforms[row];
    }
    detail::read_along(c, std::span(rows), [&](index_t first, index_t some) {
        exec.parallel_for(mine.size() > 0 ? some : 0, [&](index_t i, int) {
            how.read(rows[static_cast<std::size_t>(first + i)], row_of(first + i), static_cast<std::size_t>(mine.begin),
                     mask);
        });
    });

    // A token is looked up by the rank that has the chosen chunk.
    std::vector<std::vector<index_t>> chosen(static_cast<std::size_t>(c.size()));
    for (index_t row = 0; row < count; ++row) {
        const auto first = static_cast<index_t>(rows[static_cast<std::size_t>(row)].choice.first);
        int rank = 0;
        while (rank + 1 < c.size() && tokens_of_rank(tokens, rank, c.size()).end <= first) {
            ++rank;
        }
        chosen[static_cast<std::size_t>(rank)].push_back(row);
    }
    std::vector<std::vector<drawn_row>> found(chosen.size());
    for (std::size_t rank = 0; rank < chosen.size(); ++rank) {
        found[rank].resize(chosen[rank].size());
    }
    const std::vector<index_t>& here = chosen[static_cast<std::size_t>(c.rank())];
    exec.parallel_for(std::ssize(here), [&](index_t i, int) {
        const index_t row = here[static_cast<std::size_t>(i)];
        const detail::row_reduction& read = rows[static_cast<std::size_t>(row)];
        const bool has_chunk = read.part.best >= 0; // otherwise nothing was chosen
        const index_t begin = has_chunk ? static_cast<index_t>(read.choice.first) - mine.begin : mine.size();
        const std::size_t size = std::min(detail::chunk_size, static_cast<std::size_t>(mine.size() - begin));
        std::array<Logit, detail::chunk_size> chunk;
        std::copy_n(logits.pointer(row) + begin, size, chunk.begin());
        if (mask - read.choice.first < size) {
            chunk[mask - read.choice.first] = static_cast<Logit>(detail::minus_infinity);
        }
        const detail::row_result result = how.finish(read, std::span<const Logit>(chunk).first(size));
        found[static_cast<std::size_t>(c.rank())][static_cast<std::size_t>(i)] = {result.raw, result.draw};
    });
    detail::exchange_with_all<drawn_row>(
        c, [&](int) { return std::span(found[static_cast<std::size_t>(c.rank())]); },
        [&](int rank) { return std::span(found[static_cast<std::size_t>(rank)]); });
    std::vector<drawn_row> all(rows.size());
    for (std::size_t rank = 0; rank < chosen.size(); ++rank) {
        for (std::size_t i = 0; i < chosen[rank].size(); ++i) {
            all[static_cast<std::size_t>(chosen[rank][i])] = found[rank][i];
        }
    }
    return all;
}

UNMASK_NAMESPACE_END
