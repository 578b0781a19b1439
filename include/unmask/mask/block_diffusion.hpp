// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/mask/ranges.hpp>

UNMASK_NAMESPACE_BEGIN

/// The training mask of block diffusion on [noised ‖ clean], 2 · length positions (BD3-LM, arXiv 2503.09573, §3.3:
/// M_BD ∪ M_OBC ∪ M_BC). With it, one pass gives the loss of every block.
///
///   noised query, noised key   visible in the same block            (M_BD)
///   noised query, clean key    visible in an earlier block          (M_OBC)
///   clean query, clean key     visible in the same block or earlier (M_BC)
///   clean query, noised key    never visible
///
/// The last block may be shorter than `size`. Positions from 2 · length on neither see nor are seen.
struct block_diffusion {
    index_t length; ///< positions in one half, in [0, 2^61]
    index_t size;   ///< positions in a block, at least 1

    UNMASK_HOST_DEVICE constexpr bool visible(index_t q, index_t k) const {
        if (q >= 2 * length || k >= 2 * length) {
            return false;
        }
        if (q < length) {
            return k < length ? number(q) == number(k) : number(k - length) < number(q);
        }
        return k >= length && number(k - length) <= number(q - length);
    }

    UNMASK_HOST_DEVICE constexpr tile_class classify(index_t q_begin, index_t q_end, index_t k_begin,
                                                     index_t k_end) const {
        const range noised_queries = blocks(noised(q_begin, q_end));
        const range clean_queries = blocks(clean(q_begin, q_end));
        const range noised_keys = blocks(noised(k_begin, k_end));
        const range clean_keys = blocks(clean(k_begin, k_end));
        detail::tile_pieces pieces;
        if (!noised_queries.empty() && !noised_keys.empty()) {
            pieces.add(same(noised_queries, noised_keys));
        }
        if (!noised_queries.empty() && !clean_keys.empty()) {
            pieces.add(up_to(noised_queries, clean_keys, -1));
        }
        if (!clean_queries.empty() && !clean_keys.empty()) {
            pieces.add(up_to(clean_queries, clean_keys, 0));
        }
        if ((!clean_queries.empty() && !noised_keys.empty()) || q_end > 2 * length || k_end > 2 * length) {
            pieces.add(tile_class::empty);
        }
        return pieces.whole();
    }

    UNMASK_HOST_DEVICE constexpr ranges<2> key_ranges(index_t q_begin, index_t q_end, index_t keys) const {
        const range noised_queries = blocks(noised(q_begin, q_end));
        const range clean_queries = blocks(clean(q_begin, q_end));
        index_t clean_blocks = clean_queries.empty() ? 0 : clean_queries.end;
        ranges<2> result;
        if (!noised_queries.empty()) {
            clean_blocks = detail::larger(clean_blocks, noised_queries.end - 1);
            result.append(detail::clip({noised_queries.begin * size, start(noised_queries.end)}, keys));
        }
        result.append(detail::clip({length, length + start(clean_blocks)}, keys));
        return result;
    }

    UNMASK_HOST_DEVICE constexpr ranges<2> query_ranges(index_t k_begin, index_t k_end, index_t queries) const {
        const range noised_keys = blocks(noised(k_begin, k_end));
        const range clean_keys = blocks(clean(k_begin, k_end));
        range noised_queries{};
        range clean_queries{};
        if (!clean_keys.empty()) {
            noised_queries = {start(clean_keys.begin + 1), length};
            clean_queries = {length + start(clean_keys.begin), 2 * length};
        }
        if (!noised_keys.empty()) { // with clean keys as well, both ranges of noised queries end at `length`
            const range own{noised_keys.begin * size, start(noised_keys.end)};
            noised_queries = noised_queries.empty() || own.begin < noised_queries.begin ? own : noised_queries;
        }
        ranges<2> result(detail::clip(noised_queries, queries));
        result.append(detail::clip(clean_queries, queries));
        return result;
    }

    UNMASK_HOST_DEVICE constexpr ranges<2> row(index_t q, index_t keys) const { return key_ranges(q, q + 1, keys); }

    constexpr mask_fault fault() const {
        return length < 0                    ? mask_fault{"block_diffusion.length", length, "at least 0"}
               : length > most_positions / 2 ? mask_fault{"block_diffusion.length", length, "at most 2^61"}
               : size < 1                    ? mask_fault{"block_diffusion.size", size, "at least 1"}
                                             : mask_fault{};
    }

private:
    // Positions within a half, blocks by number.
    UNMASK_HOST_DEVICE constexpr index_t number(index_t position) const { return position / size; }
    UNMASK_HOST_DEVICE constexpr index_t start(index_t number) const { return detail::smaller(number * size, length); }
    UNMASK_HOST_DEVICE constexpr range noised(index_t begin, index_t end) const {
        return detail::clip({begin, end}, length);
    }
    UNMASK_HOST_DEVICE constexpr range clean(index_t begin, index_t end) const {
        return detail::clip({begin - length, end - length}, length);
    }
    UNMASK_HOST_DEVICE constexpr range blocks(range positions) const {
        return positions.empty() ? range{} : range{number(positions.begin), number(positions.end - 1) + 1};
    }

    // Queries see keys of their own block.
    UNMASK_HOST_DEVICE static constexpr tile_class same(range queries, range keys) {
        return detail::intersect(queries, keys).empty()              ? tile_class::empty
               : queries == keys && queries.end - queries.begin == 1 ? tile_class::full
                                                                     : tile_class::partial;
    }
    // Queries of block b see keys of the blocks up to b + shift.
    UNMASK_HOST_DEVICE static constexpr tile_class up_to(range queries, range keys, index_t shift) {
        return keys.begin > queries.end - 1 + shift    ? tile_class::empty
               : keys.end - 1 <= queries.begin + shift ? tile_class::full
                                                       : tile_class::partial;
    }
};

UNMASK_NAMESPACE_END
