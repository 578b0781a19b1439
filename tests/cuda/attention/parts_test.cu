// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// The parts that kernels are made of: lists of tiles, the order of blocks, the layout of shared memory, split keys.

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <random>
#include <set>

#include <doctest/doctest.h>

#include <unmask/cuda/attention/block_order.cuh>
#include <unmask/cuda/attention/launch_plan.cuh>
#include <unmask/cuda/attention/shared_tile.cuh>
#include <unmask/mask/predicate.hpp>
#include <unmask/mask/tiles.hpp>

#include "part_kernels.cuh"

namespace {

using namespace test;

// What the list must be, by the loop that the CPU runs.
std::vector<listed_tile> wanted_key_tiles(const any_mask& mask, range positions, index_t keys) {
    std::vector<listed_tile> result;
    for_each_key_tile(mask, positions.begin, positions.end, keys, 2, [&](index_t begin, index_t end, tile_class kind) {
        result.push_back({static_cast<int>(begin), kind != tile_class::full || end - begin < 2});
    });
    return result;
}

} // namespace

TEST_CASE("a list has the tiles that a mask must visit, in order") {
    constexpr index_t length = 300; // 150 tiles: 5 words
    const std::vector<range> documents = some_documents(length);
    std::mt19937 random(1);
    const auto pick = [&](index_t low, index_t high) {
        return std::uniform_int_distribution<index_t>(low, high)(random);
    };
    const device_array<range> device_documents(documents);
    const auto all = masks(length, documents);
    const auto on_device = masks(length, {device_documents.data(), documents.size()});
    for (std::size_t number = 0; number < all.size(); ++number) {
        const auto& [mask_name, mask] = all[number];
        const any_mask& device_mask = on_device[number].second;
        const std::string& name = mask_name;
        CAPTURE(name);
        for (int i = 0; i < 6; ++i) {
            const index_t begin = pick(0, length - 1);
            const range positions{begin, pick(begin + 1, length)};
            const index_t size = pick(0, length);
            CHECK(listed_key_tiles(device_mask, positions, size, 0, 1) == wanted_key_tiles(mask, positions, size));

            // Parts in a row are the whole.
            std::vector<listed_tile> joined;
            for (int part = 0; part < 3; ++part) {
                const auto some = listed_key_tiles(device_mask, positions, size, part, 3);
                joined.insert(joined.end(), some.begin(), some.end());
            }
            CHECK(joined == wanted_key_tiles(mask, positions, size));

            const index_t offset = pick(0, 40);
            std::vector<listed_tile> wanted;
            for_each_query_tile(
                mask, positions.begin, positions.end, offset, offset + size, 2,
                [&](index_t first, index_t last, tile_class kind) {
                    wanted.push_back({static_cast<int>(first - offset), kind != tile_class::full || last - first < 2});
                });
            CHECK(listed_query_tiles(device_mask, positions, size, offset) == wanted);
        }
    }
}

TEST_CASE("a list of more tiles than it has bits: neighbours share one, and none is left out") {
    constexpr index_t keys = 2 * 4096 * 3 + 1;
    const auto all = listed_key_tiles(any_mask(bidirectional{}), {0, 1}, keys, 0, 1);
    REQUIRE(all.size() == (keys + 1) / 2);
    CHECK(all.front() == listed_tile{0, false});
    CHECK(all.back() == listed_tile{keys - 1, true});

    const any_mask window(sliding_window{5, 9000});
    const auto seen = listed_key_tiles(window, {4000, 4001}, keys, 0, 1);
    for (const listed_tile& wanted : wanted_key_tiles(window, {4000, 4001}, keys)) {
        CAPTURE(wanted.begin);
        const auto found =
            std::find_if(seen.begin(), seen.end(), [&](const listed_tile& each) { return each.begin == wanted.begin; });
        REQUIRE(found != seen.end());
        CHECK((found->partial || !wanted.partial));
    }
    CHECK(std::is_sorted(seen.begin(), seen.end(),
                         [](const listed_tile& a, const listed_tile& b) { return a.begin < b.begin; }));
}

TEST_CASE("the bits of the keys that a row sees, by ranges and key by key") {
    constexpr int length = 150;
    const std::vector<range> documents = some_documents(length);
    const device_array<range> device_documents(documents);
    const auto all = masks(length, documents);
    const auto on_device = masks(length, {device_documents.data(), documents.size()});
    for (std::size_t number = 0; number < all.size(); ++number) {
        const auto& [mask_name, mask] = all[number];
        const std::string& name = mask_name;
        CAPTURE(name);
        for (const int keys : {0, 1, 33, 150}) {
            std::vector<std::uint32_t> wanted;
            for (index_t position = 0; position < length; ++position) {
                for (index_t first = 0; first < seen_words * 32; first += 32) {
                    wanted.push_back(0);
                    for (index_t i = 0; i < 32 && first + i < keys; ++i) {
                        wanted.back() |= mask.visible(position, first + i) ? 1U << i : 0U;
                    }
                }
            }
            CHECK(seen_words_of(on_device[number].second, length, keys) == wanted);
            CHECK(seen_words_of(predicate(visible_to{on_device[number].second}), length, keys) == wanted);
        }
    }
}

TEST_CASE("every block of a grid has work of its own, and all work has a block") {
    for (int units = 1; units <= 7; ++units) {
        for (int tiles = 1; tiles <= 70; tiles += 23) {
            for (int parts = 1; parts <= 3; ++parts) {
                for (int section = 1; section <= units + 1; ++section) {
                    for (const bool uneven : {false, true}) {
                        const kernels::block_grid grid{units, tiles, parts, section, uneven};
                        std::set<std::vector<int>> seen;
                        for (int block = 0; block < grid.blocks(); ++block) {
                            const kernels::block_work work = kernels::work_of(grid, block);
                            CHECK((work.unit >= 0 && work.unit < units && work.part >= 0 && work.part < parts));
                            CHECK((work.tile >= 0 && work.tile < grid.padded_tiles()));
                            seen.insert({work.unit, work.tile, work.part});
                        }
                        CHECK(static_cast<int>(seen.size()) == grid.blocks());
                        CHECK(grid.padded_tiles() >= tiles);
                    }
                }
            }
        }
    }
}

TEST_CASE("the longest tiles go first, and each goes once") {
    std::mt19937 random(2);
    for (const std::size_t tiles : {1U, 2U, 63U, 64U}) {
        std::vector<int> costs(tiles);
        for (int& cost : costs) {
            cost = std::uniform_int_distribution<int>(0, 9)(random);
        }
        std::vector<int> wanted(tiles);
        std::iota(wanted.begin(), wanted.end(), 0);
        std::stable_sort(wanted.begin(), wanted.end(), [&](int a, int b) {
            return costs[static_cast<std::size_t>(a)] > costs[static_cast<std::size_t>(b)];
        });
        CHECK(tiles_by_length(costs) == wanted);
    }
    // Of many tiles, groups of neighbours are put in order.
    std::vector<int> rising(200);
    std::iota(rising.begin(), rising.end(), 0);
    std::vector<int> taken = tiles_by_length(rising);
    CHECK(taken.front() == 196); // 50 groups of 4
    std::sort(taken.begin(), taken.end());
    CHECK(taken == rising);
}

TEST_CASE_TEMPLATE("chunks of a tile in shared memory: all places once, matrices without bank conflicts", Tile,
                   kernels::shared_tile<64, 32>, kernels::shared_tile<64, 64>, kernels::shared_tile<128, 96>,
                   kernels::shared_tile<128, 128>, kernels::shared_tile<64, 192>, kernels::shared_tile<64, 256>) {
    int wrong = -1;
    const std::vector<unsigned> places = places_in<Tile>(wrong);
    CHECK(wrong == 0);
    for (const unsigned place : places) {
        CHECK((place % 16 == 0 && place + 16 <= Tile::bytes));
    }
    CHECK(std::set<unsigned>(places.begin(), places.end()).size() == places.size());
    for (unsigned row = 0; row < rows_of<Tile>; row += 8) {
        for (unsigned chunk = 0; chunk < Tile::chunks; ++chunk) {
            std::set<unsigned> banks;
            for (unsigned i = 0; i < 8; ++i) {
                banks.insert(places[(row + i) * Tile::chunks + chunk] % 128);
            }
            CHECK(banks.size() == 8);
        }
    }
}

TEST_CASE("keys are split only where multiprocessors would be idle, and no further than helps") {
    CHECK(kernels::parts_of_keys(132, 132, 1000) == 1);
    CHECK(kernels::parts_of_keys(1, 132, 7) == 1);    // too few tiles for two parts
    CHECK(kernels::parts_of_keys(8, 132, 512) == 15); // 120 of 132
    for (index_t blocks = 1; blocks < 300; ++blocks) {
        for (const int tiles : {1, 8, 9, 100, 5000}) {
            const int parts = kernels::parts_of_keys(blocks, 264, tiles);
            CHECK((parts >= 1 && parts <= 128 && (parts == 1 || parts * 4 <= tiles)));
        }
    }
}
