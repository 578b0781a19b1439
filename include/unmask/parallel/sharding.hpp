// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/error.hpp>
#include <unmask/mask/detail/check.hpp>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/mask/ranges.hpp>

UNMASK_NAMESPACE_BEGIN

/// Which positions of a sequence each rank holds: some ranges, in ascending order, one after another in its tensors.
/// A value that every rank makes for itself, all alike.
class sharding {
public:
    /// Rank r holds of_ranks[r]. Throws invalid_argument unless every position of [0, length()) is held once, each
    /// rank's ranges ascend, and none is empty.
    explicit sharding(std::vector<std::vector<range>> of_ranks) : of_ranks_(std::move(of_ranks)) {
        std::vector<range> all;
        for (const std::vector<range>& each : of_ranks_) {
            for (const range& held : each) {
                check(!held.empty() && held.begin >= 0, held, "at least one position, and none below 0");
                check(&held == each.data() || (&held)[-1].end <= held.begin, held, "behind the rank's range before");
                all.push_back(held);
            }
        }
        std::sort(all.begin(), all.end(), [](const range& a, const range& b) { return a.begin < b.begin; });
        for (const range& held : all) {
            check(held.begin == length_, held,
                  held.begin > length_ ? "none missing before it" : "positions of no other rank");
            length_ = held.end;
        }
    }

    /// How many ranks there are.
    [[nodiscard]] int ranks() const { return static_cast<int>(of_ranks_.size()); }
    /// The number of positions of the sequence.
    [[nodiscard]] index_t length() const { return length_; }
    /// The ranges of a rank.
    [[nodiscard]] std::span<const range> of(int rank) const { return of_ranks_[static_cast<std::size_t>(rank)]; }
    /// The number of positions of a rank: the length of its tensors.
    [[nodiscard]] index_t positions(int rank) const {
        index_t sum = 0;
        for (const range& held : of(rank)) {
            sum += held.end - held.begin;
        }
        return sum;
    }

private:
    static void check(bool condition, const range& was, const char* expected) {
        if (!condition) {
            throw invalid_argument("sharding", "range",
                                   "[" + std::to_string(was.begin) + ", " + std::to_string(was.end) + ")", expected);
        }
    }

    std::vector<std::vector<range>> of_ranks_;
    index_t length_ = 0;
};

namespace detail {

// The sum of what a mask shows of the queries before each position: [length + 1].
template <mask_policy Mask>
std::vector<index_t> visible_before(const Mask& mask, index_t length) {
    std::vector<index_t> sums{0};
    sums.reserve(static_cast<std::size_t>(length) + 1);
    const auto add = [&](const auto& seen) {
        index_t count = 0;
        for (const range& each : seen) {
            count += each.end - each.begin;
        }
        sums.push_back(sums.back() + count);
    };
    for (index_t q = 0; q < length; ++q) {
        if constexpr (row_mask_policy<Mask>) {
            add(mask.row(q, length));
        } else {
            add(mask.key_ranges(q, q + 1, length));
        }
    }
    return sums;
}

inline std::vector<index_t> work_of_ranks(const std::vector<index_t>& before, const sharding& queries) {
    std::vector<index_t> work(static_cast<std::size_t>(queries.ranks()), 0);
    for (std::size_t rank = 0; rank < work.size(); ++rank) {
        for (const range& held : queries.of(static_cast<int>(rank))) {
            work[rank] += before[static_cast<std::size_t>(held.end)] - before[static_cast<std::size_t>(held.begin)];
        }
    }
    return work;
}

// Piece `number` of `pieces` of the same length, but for one multiple.
inline range piece_of(index_t length, index_t number, index_t pieces, index_t multiple) {
    const index_t units = (length + multiple - 1) / multiple;
    const auto cut = [&](index_t at) { return std::min(length, units * at / pieces * multiple); };
    return {cut(number), cut(number + 1)};
}

// `each` pieces for each rank: the one with the most work that is left goes to the rank with the least, of those that
// may have another one. Of 2 pieces of a causal mask, that makes the zigzag: the first and the last for one rank, the
// second and the last but one for the next.
inline sharding dealt_sharding(const std::vector<index_t>& before, int ranks, int each, index_t multiple) {
    const auto length = static_cast<index_t>(before.size()) - 1;
    std::vector<range> pieces;
    for (index_t i = 0; i < index_t{ranks} * each; ++i) {
        pieces.push_back(piece_of(length, i, index_t{ranks} * each, multiple));
    }
    const auto work = [&](const range& piece) {
        return before[static_cast<std::size_t>(piece.end)] - before[static_cast<std::size_t>(piece.begin)];
    };
    if (each > 1) {
        std::stable_sort(pieces.begin(), pieces.end(),
                         [&](const range& a, const range& b) { return work(a) > work(b); });
    }
    struct hand {
        std::vector<range> pieces{};
        index_t work = 0;
    };
    std::vector<hand> hands(static_cast<std::size_t>(ranks));
    for (const range& piece : pieces) {
        const auto before_in_turn = [&](const hand& a, const hand& b) {
            const bool a_is_full = std::ssize(a.pieces) == each;
            const bool b_is_full = std::ssize(b.pieces) == each;
            return a_is_full != b_is_full ? b_is_full : a.work < b.work;
        };
        // With one piece a rank, they go by number.
        hand& to = each == 1 ? hands[static_cast<std::size_t>(&piece - pieces.data())]
                             : *std::min_element(hands.begin(), hands.end(), before_in_turn);
        to.pieces.push_back(piece);
        to.work += work(piece);
    }
    std::vector<std::vector<range>> of_ranks;
    for (hand& each_hand : hands) {
        std::sort(each_hand.pieces.begin(), each_hand.pieces.end(),
                  [](const range& a, const range& b) { return a.begin < b.begin; });
        std::vector<range> joined;
        for (const range& piece : each_hand.pieces) {
            if (!joined.empty() && joined.back().end == piece.begin) {
                joined.back().end = piece.end;
            } else if (!piece.empty()) {
                joined.push_back(piece);
            }
        }
        of_ranks.push_back(std::move(joined));
    }
    return sharding(std::move(of_ranks));
}

inline void check_shards(const char* function, index_t length, int ranks, index_t multiple) {
    const auto expects = [&](bool condition, const char* argument, index_t was, const char* expected) {
        if (!condition) {
            throw invalid_argument(function, argument, std::to_string(was), expected);
        }
    };
    expects(length >= 0 && length <= most_positions, "length", length, "0 to 2^62");
    expects(ranks >= 1, "ranks", ranks, "at least 1");
    expects(multiple >= 1, "multiple", multiple, "at least 1");
}

} // namespace detail

/// Rank r holds the r-th of `ranks` pieces of the same length, or one position more. Throws invalid_argument for a
/// length below 0, or no rank.
inline sharding contiguous_sharding(index_t length, int ranks) {
    detail::check_shards("contiguous_sharding", length, ranks, 1);
    std::vector<std::vector<range>> of_ranks(static_cast<std::size_t>(ranks));
    for (int rank = 0; rank < ranks; ++rank) {
        if (const range piece = detail::piece_of(length, rank, ranks, 1); !piece.empty()) {
            of_ranks[static_cast<std::size_t>(rank)].push_back(piece);
        }
    }
    return sharding(std::move(of_ranks));
}

/// How many (query, key) pairs a mask shows of the queries of each rank: [ranks]. For a mask without `row`, the pairs
/// inside its key_ranges. Each takes a head 4 · head_dim operations. Work: O(length).
template <mask_policy Mask>
std::vector<index_t> visible_work(const Mask& mask, const sharding& queries) {
    return detail::work_of_ranks(detail::visible_before(mask, queries.length()), queries);
}

/// The largest of the ranks' work over their mean: what the slowest rank takes longer than if all took the same. 1 is
/// even; 1 as well if there is no work.
inline double imbalance(std::span<const index_t> work) {
    const auto sum = static_cast<double>(std::accumulate(work.begin(), work.end(), index_t{0}));
    return sum > 0 ? static_cast<double>(*std::max_element(work.begin(), work.end())) *
                         static_cast<double>(work.size()) / sum
                   : 1.0;
}

/// A sharding that makes what a mask shows even: each rank holds as many positions as any other (but for `multiple`),
/// in 1, 2, 4 or 8 pieces, the fewest with which no rank has more than 5 % more work than the mean, or else those with
/// the least imbalance. A bidirectional mask gets contiguous pieces; a causal one the zigzag, 2 a rank. Pieces begin at
/// multiples of `multiple`: 64 or more keeps the tiles of kernels whole. Throws invalid_argument for a length below 0,
/// no rank, or a mask with a parameter that is out of bounds. Work: O(length).
/// Source of the zigzag: Llama 3 (arXiv 2407.21783, §3.3.2); for any mask, longest processing time first (Graham 1969).
template <mask_policy Mask>
sharding balanced_sharding(const Mask& mask, index_t length, int ranks, index_t multiple = 1) {
    detail::check_shards("balanced_sharding", length, ranks, multiple);
    detail::check_mask("balanced_sharding", mask);
    const std::vector<index_t> before = detail::visible_before(mask, length);
    const auto imbalance_of = [&](const sharding& shards) { return imbalance(detail::work_of_ranks(before, shards)); };
    sharding best = detail::dealt_sharding(before, ranks, 1, multiple);
    for (int each = 2; each <= 8 && imbalance_of(best) > 1.05; each *= 2) {
        sharding next = detail::dealt_sharding(before, ranks, each, multiple);
        if (imbalance_of(next) < imbalance_of(best)) {
            best = std::move(next);
        }
    }
    return best;
}

UNMASK_NAMESPACE_END
