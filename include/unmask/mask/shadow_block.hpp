// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/mask/ranges.hpp>

UNMASK_NAMESPACE_BEGIN

/// Verification of decoded tokens by a shadow block (WINO, arXiv 2507.18578, Fig. 2b).
///
/// A canvas of `length` positions is followed by `size` shadow positions, all masked, which stand for the canvas
/// positions [begin, begin + size); give them the same position numbers. Shadow position i sees the shadow block and
/// the canvas except for the token it stands for, begin + i, so that its prediction of that token is not just a copy.
/// The canvas sees only the canvas, as if there were no shadow. Positions after the shadow neither see nor are seen.
struct shadow_block {
    index_t length; ///< positions in the canvas, at most 2^61
    index_t begin;  ///< first position of the verified block, at least 0
    index_t size;   ///< positions in that block, at least 0; begin + size ≤ length

    UNMASK_HOST_DEVICE constexpr bool visible(index_t q, index_t k) const {
        return q < length ? k < length : q < total() && k < total() && k != mirrored(q);
    }

    UNMASK_HOST_DEVICE constexpr tile_class classify(index_t q_begin, index_t q_end, index_t k_begin,
                                                     index_t k_end) const {
        const range shadow_queries = shadow(q_begin, q_end);
        const range canvas_keys{k_begin, detail::smaller(k_end, length)};
        detail::tile_pieces pieces;
        if (q_end > total() || k_end > total() || (q_begin < length && k_end > length)) {
            pieces.add(tile_class::empty);
        }
        if ((q_begin < length && k_begin < length) || (!shadow_queries.empty() && !shadow(k_begin, k_end).empty())) {
            pieces.add(tile_class::full);
        }
        if (!shadow_queries.empty() && !canvas_keys.empty()) { // everything but a piece of a diagonal
            const range hidden{mirrored(shadow_queries.begin), mirrored(shadow_queries.end)};
            const bool one = hidden.end - hidden.begin == 1 && canvas_keys.end - canvas_keys.begin == 1;
            pieces.add(detail::intersect(hidden, canvas_keys).empty() ? tile_class::full
                       : one                                          ? tile_class::empty
                                                                      : tile_class::partial);
        }
        return pieces.whole();
    }

    UNMASK_HOST_DEVICE constexpr ranges<2> key_ranges(index_t q_begin, index_t q_end, index_t keys) const {
        const range shadow_queries = shadow(q_begin, q_end);
        if (shadow_queries.empty()) {
            return ranges<2>({0, q_begin < length ? detail::smaller(length, keys) : 0});
        }
        if (shadow_queries.end - q_begin > 1) { // two shadow queries together see everything
            return ranges<2>({0, detail::smaller(total(), keys)});
        }
        return without(mirrored(q_begin), detail::smaller(total(), keys));
    }

    UNMASK_HOST_DEVICE constexpr ranges<2> query_ranges(index_t k_begin, index_t k_end, index_t queries) const {
        if (k_begin >= length) {
            return ranges<2>(detail::clip({length, k_begin < total() ? total() : length}, queries));
        }
        // A single key is hidden from the query that stands for it, if there is one; a wider tile is hidden from none.
        const bool hidden = k_end - k_begin == 1 && k_begin >= begin;
        return without(hidden ? length + k_begin - begin : total(), detail::smaller(total(), queries));
    }

    UNMASK_HOST_DEVICE constexpr ranges<2> row(index_t q, index_t keys) const { return key_ranges(q, q + 1, keys); }

    /// Positions in the canvas and the shadow together.
    UNMASK_HOST_DEVICE constexpr index_t total() const { return length + size; }

    constexpr mask_fault fault() const {
        return begin < 0                     ? mask_fault{"shadow_block.begin", begin, "at least 0"}
               : size < 0                    ? mask_fault{"shadow_block.size", size, "at least 0"}
               : length - begin < size       ? mask_fault{"shadow_block.length", length, "at least begin + size"}
               : length > most_positions / 2 ? mask_fault{"shadow_block.length", length, "at most 2^61"}
                                             : mask_fault{};
    }

private:
    UNMASK_HOST_DEVICE constexpr range shadow(index_t first, index_t last) const {
        return detail::intersect({first, last}, {length, total()});
    }
    // The canvas position that a shadow position stands for.
    UNMASK_HOST_DEVICE constexpr index_t mirrored(index_t q) const { return q - length + begin; }
    UNMASK_HOST_DEVICE static constexpr ranges<2> without(index_t hole, index_t end) {
        ranges<2> result({0, detail::smaller(hole, end)});
        result.append({hole + 1, end});
        return result;
    }
};

UNMASK_NAMESPACE_END
