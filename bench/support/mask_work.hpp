// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/mask/ranges.hpp>
#include <unmask/mask/tiles.hpp>

#include "shape.hpp"

namespace bench {

/// What a mask makes of one head: the scores that count, and the 64 × 64 tiles that hold them.
struct mask_work {
    index_t visible_scores = 0;
    index_t visited_tiles = 0;
};

namespace detail {

// Not a lambda: nvcc would warn that for_each_key_tile, which is for the device too, calls it.
struct count_tiles {
    index_t& tiles;
    UNMASK_HOST_DEVICE void operator()(index_t, index_t, unmask::tile_class) const { ++tiles; }
};

} // namespace detail

template <unmask::row_mask_policy Mask>
mask_work work_of(const Mask& mask, index_t queries, index_t keys) {
    constexpr index_t tile = 64;
    mask_work work;
    for (index_t q = 0; q < queries; ++q) {
        for (const unmask::range& seen : mask.row(q, keys)) {
            work.visible_scores += seen.end - seen.begin;
        }
    }
    for (index_t q = 0; q < queries; q += tile) {
        const index_t q_end = q + tile < queries ? q + tile : queries;
        unmask::for_each_key_tile(mask, q, q_end, keys, tile, detail::count_tiles{work.visited_tiles});
    }
    return work;
}

} // namespace bench
