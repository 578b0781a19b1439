// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/mask/ranges.hpp>

UNMASK_NAMESPACE_BEGIN

/// Whether a query sees its own position among keys that are hidden.
enum class own_position : std::uint8_t {
    as_others, ///< hidden if it is hidden from the others
    visible    ///< always seen
};

/// Hides a set of keys from all queries, whatever the set: the masked positions of a canvas, or padding anywhere. With
/// own_position::visible, a query still sees itself. Tiles whose keys are all hidden are skipped.
///
/// The policy refers to an array that hidden_runs makes of the set, so every function takes O(1) time. At each position
/// stands the first run of hidden keys that ends after it: the run that the position is in, or else the next one, or
/// else an empty range at `length`. Keys from `length` on are visible. There is no `row`, because a set can have any
/// number of runs; kernels ask `visible` in tiles that hold both kinds of keys.
///
/// Non-owning: the array must outlive the call, in memory that the executor can read. It is that of one sequence: for a
/// batch whose sequences hide different keys, call attention once for each, or pack the batch into one sequence, with
/// `document{…} && hidden_keys{…}` as the mask.
struct hidden_keys {
    const range* runs; ///< [length], the first run of hidden keys that ends after each position
    index_t length;    ///< number of positions
    own_position own = own_position::as_others; ///< whether a query sees its own position, hidden or not

    /// Refers to `positions` runs from `first` on.
    UNMASK_HOST_DEVICE constexpr hidden_keys(const range* first, index_t positions,
                                             own_position itself = own_position::as_others)
        : runs(first), length(positions), own(itself) {}
    /// Refers to the runs of a span.
    constexpr explicit hidden_keys(std::span<const range> positions, own_position itself = own_position::as_others)
        : runs(positions.data()), length(static_cast<index_t>(positions.size())), own(itself) {}

    UNMASK_HOST_DEVICE constexpr bool visible(index_t q, index_t k) const {
        return (sees_itself() && q == k) || !hidden(k);
    }

    UNMASK_HOST_DEVICE constexpr tile_class classify(index_t q_begin, index_t q_end, index_t k_begin,
                                                     index_t k_end) const {
        const range diagonal = sees_itself() ? detail::intersect({q_begin, q_end}, {k_begin, k_end}) : range{};
        if (first_visible(k_begin) >= k_end) { // all keys are hidden
            const bool one = q_end - q_begin == 1 && k_end - k_begin == 1;
            return diagonal.empty() ? tile_class::empty : one ? tile_class::full : tile_class::partial;
        }
        const index_t first = first_hidden(k_begin);
        const bool only_own = !diagonal.empty() && q_end - q_begin == 1 && first == q_begin;
        return (only_own ? first_hidden(first + 1) : first) >= k_end ? tile_class::full : tile_class::partial;
    }

    UNMASK_HOST_DEVICE constexpr ranges<2> key_ranges(index_t q_begin, index_t q_end, index_t keys) const {
        const index_t last = keys - 1; // visible keys are between the hidden ones at both ends
        const index_t end = keys > 0 && hidden(last) ? runs[last].begin : keys;
        const range seen{keys > 0 ? first_visible(0) : 0, end};
        return set_union(ranges<1>(seen), ranges<1>(sees_itself() ? detail::clip({q_begin, q_end}, keys) : range{}));
    }

    UNMASK_HOST_DEVICE constexpr ranges<1> query_ranges(index_t k_begin, index_t k_end, index_t queries) const {
        const bool all = first_visible(k_begin) < k_end;
        return ranges<1>(all ? range{0, queries} : sees_itself() ? detail::clip({k_begin, k_end}, queries) : range{});
    }

    constexpr mask_fault fault() const {
        if (length < 0) {
            return {"hidden_keys.length", length, "at least 0"};
        }
        return runs == nullptr && length > 0 ? mask_fault{"hidden_keys.length", length, "0, as runs is null"}
                                             : mask_fault{};
    }

private:
    UNMASK_HOST_DEVICE constexpr bool sees_itself() const { return own == own_position::visible; }
    UNMASK_HOST_DEVICE constexpr bool hidden(index_t k) const { return k < length && runs[k].contains(k); }
    // The first key from k on that is visible; and the first that is hidden, or a position past all tiles.
    UNMASK_HOST_DEVICE constexpr index_t first_visible(index_t k) const { return hidden(k) ? runs[k].end : k; }
    UNMASK_HOST_DEVICE constexpr index_t first_hidden(index_t k) const {
        return k < length && !runs[k].empty() ? detail::larger(runs[k].begin, k) : most_positions;
    }
};

/// The array that `hidden_keys` refers to, [hidden.size()], from a flag for each position: not 0 if it is hidden.
/// O(length).
inline std::vector<range> hidden_runs(std::span<const std::uint8_t> hidden) {
    const auto length = static_cast<index_t>(hidden.size());
    std::vector<range> result(hidden.size());
    range run{length, length};
    for (index_t i = length; i-- > 0;) { // from the back, so that the run that follows is known
        if (hidden[static_cast<std::size_t>(i)] != 0) {
            run = {i, run.begin == i + 1 ? run.end : i + 1};
        }
        result[static_cast<std::size_t>(i)] = run;
    }
    for (index_t i = 1; i < length; ++i) { // within a run, all have its begin
        const range before = result[static_cast<std::size_t>(i - 1)];
        if (before.contains(i)) {
            result[static_cast<std::size_t>(i)] = before;
        }
    }
    return result;
}

UNMASK_NAMESPACE_END
