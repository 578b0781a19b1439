// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/mask/mask_policy.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// Calls visit(tile_begin, tile_end) for every tile of `size` positions, counted from `origin`, that overlaps a range:
// each tile once, in ascending order, the last one cut at `end`. Positions of the ranges below `origin` are ignored.
template <int Capacity, class Visit>
constexpr void for_each_aligned_tile(const ranges<Capacity>& where, index_t origin, index_t end, index_t size,
                                     Visit&& visit) {
    index_t next = origin; // two ranges can overlap the same tile
    for (const range& each : where) {
        const index_t first = origin + (each.begin - origin) / size * size;
        for (index_t tile = larger(next, first); tile < each.end; tile += size) {
            visit(tile, smaller(tile + size, end));
            next = tile + size;
        }
    }
}

} // namespace detail

/// Calls visit(k_begin, k_end, tile_class) for the key tiles that queries [q_begin, q_end) must visit, in ascending
/// order. Tiles that lie outside the mask's key_ranges or that it classifies as empty are skipped. Kernels skip tiles
/// by the same rule, in loops and with tile sizes of their own; this one, on the host, is for counting and inspecting
/// tiles.
template <mask_policy Mask, class Visit>
constexpr void for_each_key_tile(const Mask& mask, index_t q_begin, index_t q_end, index_t keys, index_t tile_size,
                                 Visit&& visit) {
    detail::for_each_aligned_tile(mask.key_ranges(q_begin, q_end, keys), 0, keys, tile_size,
                                  [&](index_t k_begin, index_t k_end) {
                                      const tile_class kind = mask.classify(q_begin, q_end, k_begin, k_end);
                                      if (kind != tile_class::empty) {
                                          visit(k_begin, k_end, kind);
                                      }
                                  });
}

/// Calls visit(q_begin, q_end, tile_class) for the query tiles of [first_query, queries_end) that must visit the keys
/// [k_begin, k_end), in ascending order: the transpose of for_each_key_tile, as attention_received goes through
/// queries. Positions are absolute; q_begin − first_query is a multiple of tile_size and q_end ≤ queries_end.
template <mask_policy Mask, class Visit>
constexpr void for_each_query_tile(const Mask& mask, index_t k_begin, index_t k_end, index_t first_query,
                                   index_t queries_end, index_t tile_size, Visit&& visit) {
    detail::for_each_aligned_tile(detail::query_ranges_of(mask, k_begin, k_end, queries_end), first_query, queries_end,
                                  tile_size, [&](index_t q_begin, index_t q_end) {
                                      const tile_class kind = mask.classify(q_begin, q_end, k_begin, k_end);
                                      if (kind != tile_class::empty) {
                                          visit(q_begin, q_end, kind);
                                      }
                                  });
}

UNMASK_NAMESPACE_END
