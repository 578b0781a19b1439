// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>

#include <unmask/config.hpp>
#include <unmask/cpu/attention/pack.hpp>
#include <unmask/cpu/attention/problem.hpp>
#include <unmask/cpu/scratch.hpp>
#include <unmask/cpu/simd.hpp>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/mask/ranges.hpp>

// The unit of work: a strip of query rows, one to a lane of the registers, against a span of keys. Scores are kept
// transposed, [keys][lanes]: the largest of a row and the sum of a row are then taken lane by lane, keys need no
// transposed copy, and a key range can begin and end at any position.

UNMASK_NAMESPACE_BEGIN
namespace detail {

// The query rows of one kv head, counted through all heads of its group: row r is query r % queries of head
// first_head + r / queries. A strip may thereby hold rows of several heads, which share their keys.
struct grouped_rows {
    index_t first_head;
    index_t queries; // of a head
    index_t count;
    index_t offset; // absolute position of query 0

    template <class T>
    grouped_rows(const attention_problem<T>& problem, index_t sequence, index_t first, index_t heads)
        : first_head(first), queries(problem.queries(sequence)), count(queries * heads), offset(problem.query_offset) {}

    // Calls visit(head, query, row) for rows [first, last).
    template <class Visit>
    void for_each(index_t first, index_t last, const Visit& visit) const {
        index_t head = first_head + first / queries;
        index_t query = first % queries;
        for (index_t row = first; row < last; ++row) {
            visit(head, query, row);
            if (++query == queries) {
                query = 0;
                ++head;
            }
        }
    }

    // The positions of rows [first, last), as the smallest range that holds them all.
    [[nodiscard]] range positions(index_t first, index_t last) const {
        const index_t begin = first % queries;
        return begin + last - first <= queries ? range{offset + begin, offset + begin + last - first}
                                               : range{offset, offset + queries};
    }
};

// How much work some rows are against all their keys, in scores: those computed (idle lanes too) and those summed.
template <mask_policy Mask>
inline index_t strip_cost(const Mask& mask, const grouped_rows& rows, index_t first, index_t last, index_t keys) {
    const range hull = rows.positions(first, last);
    index_t visited = 0;
    for (const range& seen : mask.key_ranges(hull.begin, hull.end, keys)) {
        visited += seen.end - seen.begin;
    }
    constexpr index_t each_strip = 32; // what a strip costs by itself, in keys
    return (visited + each_strip) * (round_up(last - first, lanes) + last - first);
}

// Where to cut a strip in two that are less work together, as at the border between two documents; `last` if nowhere.
template <mask_policy Mask>
inline index_t strip_cut(const Mask& mask, const grouped_rows& rows, index_t first, index_t last, index_t keys) {
    const auto cost_of_cut = [&](index_t cut) {
        return strip_cost(mask, rows, first, cut, keys) + strip_cost(mask, rows, cut, last, keys);
    };
    const index_t whole = strip_cost(mask, rows, first, last, keys);
    if (last - first < 2 || cost_of_cut((first + last) / 2) * 16 > whole * 15) {
        return last;
    }
    index_t best = first + 1;
    for (index_t cut = best + 1; cut < last; ++cut) {
        best = cost_of_cut(cut) < cost_of_cut(best) ? cut : best;
    }
    return best;
}

// Calls visit(first, last) for rows [first, last) in strips of at most Lanes.
template <int Lanes, mask_policy Mask, class Visit>
inline void for_each_strip(const Mask& mask, const grouped_rows& rows, index_t first, index_t last, index_t keys,
                           const Visit& visit) {
    for (; first < last; first += Lanes) {
        const index_t end = std::min(first + Lanes, last);
        const index_t cut = strip_cut(mask, rows, first, end, keys);
        visit(first, cut);
        if (cut < end) {
            visit(cut, end);
        }
    }
}

// Up to Lanes query rows, by their absolute positions.
template <int Lanes>
struct query_strip {
    int count;               // rows; the lanes behind them are idle
    range hull;              // the smallest range that holds all positions
    index_t position[Lanes]; // of each row

    query_strip(const grouped_rows& rows, index_t first, index_t last)
        : count(static_cast<int>(last - first)), hull(rows.positions(first, last)) {
        rows.for_each(first, last,
                      [&](index_t, index_t query, index_t row) { position[row - first] = rows.offset + query; });
    }

    // Registers that hold a row of scores.
    [[nodiscard]] int vectors() const { return (count + lanes - 1) / lanes; }

    // Makes the scores of the idle lanes −∞: an idle query is 0, but 0 · NaN is NaN.
    void hide_idle(float* scores, index_t keys) const {
        for (index_t k = 0; k < keys && count < vectors() * lanes; ++k) {
            std::fill(scores + k * Lanes + count, scores + k * Lanes + vectors() * lanes, minus_infinity);
        }
    }
};

// Some rows of one head, and the same transposed: what a strip's products need.
template <class Products, int Lanes>
struct strip_operand {
    using element = typename Products::element;

    element* rows;  // [Lanes][width], the rows behind the last one 0
    element* panel; // [width][Lanes]

    strip_operand(arena& pieces, index_t width)
        : rows(pieces.take<element>(Lanes * width)), panel(pieces.take<element>(round_up(width, 4) * Lanes)) {}

    // Packs a strip's rows by pack(query, to).
    template <class Pack>
    void fill(range queries, index_t width, const Pack& pack) const {
        const index_t count = queries.end - queries.begin;
        const index_t padded = round_up(count, lanes);
        for (index_t row = 0; row < count; ++row) {
            pack(queries.begin + row, rows + row * width);
        }
        std::fill(rows + count * width, rows + padded * width, element{});
        transpose(rows, width, padded, width, panel, Lanes);
    }
};

} // namespace detail
UNMASK_NAMESPACE_END
