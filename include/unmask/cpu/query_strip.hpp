// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstdint>

#include <unmask/config.hpp>
#include <unmask/cpu/attention_problem.hpp>
#include <unmask/cpu/pack.hpp>
#include <unmask/cpu/scratch.hpp>
#include <unmask/cpu/simd.hpp>
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
    index_t queries;
    index_t count;

    template <class T>
    grouped_rows(const attention_problem<T>& problem, index_t sequence, index_t kv_head)
        : first_head(kv_head * problem.group()), queries(problem.queries(sequence)),
          count(queries * problem.group()) {}

    [[nodiscard]] index_t head(index_t row) const { return first_head + row / queries; }
    [[nodiscard]] index_t query(index_t row) const { return row % queries; }

    // The queries among rows [first, last), as the smallest range that holds them.
    [[nodiscard]] range query_range(index_t first, index_t last) const {
        const bool one_head = first / queries == (last - 1) / queries;
        return one_head ? range{query(first), query(last - 1) + 1} : range{0, queries};
    }
};

// Up to Lanes query rows, in absolute positions.
template <int Lanes>
struct query_strip {
    int count;                    // rows; the lanes behind them are idle
    range hull;                   // the smallest range that holds all positions
    std::int64_t position[Lanes]; // of each row

    // Neighbours.
    explicit query_strip(range positions) : count(static_cast<int>(positions.end - positions.begin)), hull(positions) {
        for (int lane = 0; lane < count; ++lane) {
            position[lane] = positions.begin + lane;
        }
    }
    // Rows [first, last) of a kv head.
    query_strip(const grouped_rows& rows, index_t first, index_t last, index_t offset)
        : count(static_cast<int>(last - first)), hull(rows.query_range(first, last)) {
        hull = {hull.begin + offset, hull.end + offset};
        for (int lane = 0; lane < count; ++lane) {
            position[lane] = rows.query(first + lane) + offset;
        }
    }

    // Registers that hold a row of scores.
    [[nodiscard]] int vectors() const { return (count + lanes - 1) / lanes; }
};

// Some rows of one head, and the same transposed: what a strip's products need.
template <int Lanes>
struct strip_operand {
    float* rows;  // [Lanes][width], the rows behind the last one 0
    float* panel; // [width][Lanes]

    strip_operand(arena& pieces, index_t width)
        : rows(pieces.take(Lanes * width)), panel(pieces.take(round_up(width, 4) * Lanes)) {}

    template <class T>
    void pack(const tensor_view<const T, 4>& from, index_t sequence, index_t head, range positions, float factor,
              index_t width) const {
        const index_t count = positions.end - positions.begin;
        pack_rows(from, sequence, head, positions.begin, count, factor, rows, width);
        std::fill(rows + count * width, rows + Lanes * width, 0.0F);
        transpose(rows, width, Lanes, width, panel, Lanes);
    }
};

} // namespace detail
UNMASK_NAMESPACE_END
