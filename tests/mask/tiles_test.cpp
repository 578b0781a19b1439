// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
/// How many tiles each policy visits at length 4096 with tiles of 64 × 64, against a closed formula.
#include <limits>
#include <vector>

#include <doctest/doctest.h>

#include <unmask/mask/bidirectional.hpp>
#include <unmask/mask/block.hpp>
#include <unmask/mask/block_diffusion.hpp>
#include <unmask/mask/causal.hpp>
#include <unmask/mask/document.hpp>
#include <unmask/mask/extra_sink.hpp>
#include <unmask/mask/logic.hpp>
#include <unmask/mask/predicate.hpp>
#include <unmask/mask/prefix.hpp>
#include <unmask/mask/shadow_block.hpp>
#include <unmask/mask/sliding_window.hpp>
#include <unmask/mask/tiles.hpp>

using namespace unmask;

namespace {

constexpr index_t length = 4096;
constexpr index_t tile = 64;
constexpr index_t n = length / tile; // tiles a side

struct visits {
    index_t full = 0;
    index_t partial = 0;
    index_t empty = 0;

    constexpr void add(tile_class kind) {
        full += kind == tile_class::full ? 1 : 0;
        partial += kind == tile_class::partial ? 1 : 0;
        empty += kind == tile_class::empty ? 1 : 0;
    }
};

template <class Mask>
void check_visits(const char* name, const Mask& mask, index_t full, index_t partial) {
    visits forward;
    visits backward;
    for (index_t begin = 0; begin < length; begin += tile) {
        for_each_key_tile(mask, begin, begin + tile, length, tile,
                          [&](index_t, index_t, tile_class kind) { forward.add(kind); });
        for_each_query_tile(mask, begin, begin + tile, 0, length, tile,
                            [&](index_t, index_t, tile_class kind) { backward.add(kind); });
    }
    CAPTURE(name);
    CHECK(forward.full == full);
    CHECK(forward.partial == partial);
    CHECK(forward.empty == 0);
    CHECK(backward.full == full);
    CHECK(backward.partial == partial);
    CHECK(backward.empty == 0);
}

} // namespace

TEST_CASE("tiles visited at length 4096: policies") {
    check_visits("bidirectional", bidirectional{}, n * n, 0);
    check_visits("causal", causal{}, n * (n - 1) / 2, n);
    check_visits("block{32}", block{32}, n * (n - 1) / 2, n);
    check_visits("block{64}", block{64}, n * (n + 1) / 2, 0);
    check_visits("block{128}", block{128}, n * (n + 2) / 2, 0);

    // Tiles up to w = 4 off the diagonal meet the window, those up to w − 1 lie inside it.
    const index_t w = 4;
    check_visits("sliding_window{256, 256}", sliding_window{256, 256}, n * (2 * w - 1) - w * (w - 1), 2 * (n - w));

    // 1000 positions reach into p = 16 tiles. The last one is partial for the first p query tiles, the diagonal after.
    const index_t p = 16;
    check_visits("prefix{1000}", prefix{1000}, p * p + (n * (n + 1) - p * (p + 1)) / 2 - n, n);

    check_visits("predicate", predicate([](index_t q, index_t k) { return q < k; }), 0, n * n);
}

TEST_CASE("tiles visited at length 4096: documents") {
    // Sixteen documents of 4 × 4 whole tiles.
    const std::vector<range> even = document_ranges(std::vector<index_t>(16, 256));
    check_visits("document, 256 each", document{even}, 16 * 4 * 4, 0);

    // Two documents of 96 lie on three tiles, which visit 2 + 3 + 2 tiles, two of them full; 64 positions are left.
    std::vector<index_t> lengths(42, 96);
    lengths.push_back(64);
    const std::vector<range> uneven = document_ranges(lengths);
    check_visits("document, 96 each", document{uneven}, 21 * 2 + 1, 21 * 5);
}

TEST_CASE("tiles visited at length 4096: masks of diffusion") {
    // A noised tile row visits its own tile and the clean ones up to it; a clean one the clean ones up to it.
    const index_t half = n / 2;
    check_visits("block_diffusion{2048, 32}", block_diffusion{2048, 32}, half * (half - 1), 3 * half);

    // 62 tiles of canvas, 2 of shadow; each of the shadow's misses the diagonal of one canvas tile.
    check_visits("shadow_block{3968, 1024, 128}", shadow_block{3968, 1024, 128}, 62 * 62 + 2 * (n - 1), 2);
}

TEST_CASE("tiles visited at length 4096: the extra sink") {
    // The sink's row makes the first row of tiles partial, and costs nothing else.
    check_visits("extra_sink{bidirectional}", extra_sink{bidirectional{}}, n * (n - 1), n);
    // A tile of nothing but sinks visits itself.
    check_visits("extra_sink{bidirectional, 0, 64}", extra_sink{bidirectional{}, 0, 64}, n * (n - 1), 1);
    // In front of a causal mask a sink is one more causal token.
    check_visits("extra_sink{causal}", extra_sink{causal{}}, n * (n - 1) / 2, n);
    // At the end it adds the last column of tiles, and its row makes the last row of them partial.
    check_visits("extra_sink{causal, 4095}", extra_sink{causal{}, 4095}, n * (n - 1) / 2 - (n - 1), n + 2 * (n - 1));
    // Blocks are shifted by one position against the tiles: each row visits one more tile, for a single key.
    check_visits("extra_sink{block{32}}", extra_sink{block{32}}, n * (n - 1) / 2, n + (n - 1));
}

TEST_CASE("tiles visited at length 4096: logic") {
    constexpr index_t no_limit = std::numeric_limits<index_t>::max();
    const index_t w = 4;
    check_visits("causal && sliding_window{256, no limit}", causal{} && sliding_window{256, no_limit},
                 n * (w - 1) - w * (w - 1) / 2, n + (n - w));
    check_visits("!causal", !causal{}, n * (n - 1) / 2, n);
    check_visits("causal || !causal", causal{} || !causal{}, n * (n - 1), n); // Kleene: the diagonal stays unknown
}

TEST_CASE("query tiles are counted from the first query") {
    // Queries 100 … 299 in tiles of 64 from 100: those that see keys [128, 192) causally begin at 100 (reaches 163).
    std::vector<range> seen;
    const auto record = [&](index_t begin, index_t end, tile_class) { seen.push_back({begin, end}); };
    for_each_query_tile(causal{}, 128, 192, 100, 300, tile, record);
    CHECK(seen == std::vector<range>{{100, 164}, {164, 228}, {228, 292}, {292, 300}});
    seen.clear();
    for_each_query_tile(causal{}, 200, 264, 100, 300, tile, record);
    CHECK(seen == std::vector<range>{{164, 228}, {228, 292}, {292, 300}});
    seen.clear();
    for_each_query_tile(sliding_window{10, 10}, 0, 64, 100, 300, tile, record);
    CHECK(seen.empty());
}

TEST_CASE("tiles can be counted at compile time") {
    constexpr auto count = [] {
        visits result;
        for_each_key_tile(causal{}, 64, 128, 256, 64, [&](index_t, index_t, tile_class kind) { result.add(kind); });
        return result;
    }();
    static_assert(count.full == 1 && count.partial == 1 && count.empty == 0);
}
