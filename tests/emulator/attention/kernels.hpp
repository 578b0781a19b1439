// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <vector>

#include <unmask/mask/ranges.hpp>

#include "../../attention/any_mask.hpp"

// Parts of the attention kernels, each in a kernel of its own.

namespace test {

using namespace unmask;

struct listed_tile {
    int begin;
    bool partial;
    friend bool operator==(const listed_tile&, const listed_tile&) = default;
};

// The tiles of 2 keys that queries at `positions` visit, by tile_list; part `part` of `parts`.
std::vector<listed_tile> listed_key_tiles(const any_mask& mask, range positions, index_t keys, int part, int parts);
// The tiles of 2 queries, counted from `offset`, that visit the keys.
std::vector<listed_tile> listed_query_tiles(const any_mask& mask, range keys, index_t queries, index_t offset);

// For each block of a grid of `tiles` row tiles that cost as much as `costs` says, in order: the tile that it takes.
std::vector<int> tiles_by_length(const std::vector<int>& costs);

} // namespace test
