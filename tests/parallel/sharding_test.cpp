// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <algorithm>
#include <numeric>
#include <string>
#include <tuple>
#include <vector>

#include <doctest/doctest.h>

#include <unmask/mask/document.hpp>
#include <unmask/parallel/sharding.hpp>

#include "../support/mask_list.hpp"

using namespace unmask;

namespace {

std::string complaint(std::vector<std::vector<range>> of_ranks) {
    try {
        sharding(std::move(of_ranks));
    } catch (const invalid_argument& error) {
        return error.what();
    }
    return "";
}

std::vector<range> documents_of(index_t length) {
    std::vector<index_t> lengths;
    for (index_t sum = 0; sum < length; sum += lengths.back()) {
        lengths.push_back(std::min<index_t>(length - sum, 1 + (sum * 7) % 50));
    }
    return document_ranges(lengths);
}

} // namespace

TEST_CASE("a sharding holds every position once") {
    const sharding shards({{{0, 3}, {5, 6}}, {}, {{3, 5}, {6, 10}}});
    CHECK(shards.ranks() == 3);
    CHECK(shards.length() == 10);
    CHECK(shards.positions(0) == 4);
    CHECK(shards.positions(1) == 0);
    CHECK(shards.positions(2) == 6);
    CHECK(complaint({{{0, 3}}, {{4, 5}}}) == "sharding: range is [4, 5), expected none missing before it");
    CHECK(complaint({{{0, 3}}, {{2, 5}}}) == "sharding: range is [2, 5), expected positions of no other rank");
    CHECK(complaint({{{1, 3}}}) == "sharding: range is [1, 3), expected none missing before it");
    CHECK(complaint({{{2, 3}, {0, 2}}}) == "sharding: range is [0, 2), expected behind the rank's range before");
    CHECK(complaint({{{0, 0}}}) == "sharding: range is [0, 0), expected at least one position, and none below 0");
    CHECK(complaint({{{-1, 2}}}) == "sharding: range is [-1, 2), expected at least one position, and none below 0");
    CHECK_THROWS_WITH_AS(contiguous_sharding(5, 0), "contiguous_sharding: ranks is 0, expected at least 1",
                         invalid_argument);
    CHECK_THROWS_WITH_AS(balanced_sharding(causal{}, 5, 2, 0), "balanced_sharding: multiple is 0, expected at least 1",
                         invalid_argument);
    CHECK_THROWS_WITH_AS(balanced_sharding(block{0}, 5, 2),
                         "balanced_sharding: mask block.size is 0, expected at least 1", invalid_argument);
}

TEST_CASE("visible_work counts what visible shows, under every mask, and is even after balancing") {
    for (const index_t length : {13, 240}) {
        const std::vector<range> documents = documents_of(length);
        const auto check = [&](const auto& listed) {
            const std::string name = listed.name;
            CAPTURE(name);
            CAPTURE(length);
            for (const int ranks : {1, 2, 3, 5}) {
                for (const index_t multiple : {1, 4}) {
                    const sharding shards = balanced_sharding(listed.tested, length, ranks, multiple);
                    REQUIRE(shards.ranks() == ranks);
                    REQUIRE(shards.length() == length);
                    const std::vector<index_t> work = visible_work(listed.tested, shards);
                    for (int rank = 0; rank < ranks; ++rank) {
                        index_t visible = 0;
                        for (const range& held : shards.of(rank)) {
                            CHECK(held.begin % multiple == 0);
                            for (index_t q = held.begin; q < held.end; ++q) {
                                for (index_t k = 0; k < length; ++k) {
                                    visible += listed.tested.visible(q, k) ? 1 : 0;
                                }
                            }
                        }
                        CHECK(work[static_cast<std::size_t>(rank)] == visible);
                    }
                    const double before = imbalance(visible_work(listed.tested, contiguous_sharding(length, ranks)));
                    CHECK((multiple > 1 || imbalance(work) <= before + 1e-12));
                    CHECK((length < 240 || multiple > 1 || imbalance(work) < 1.25));
                }
            }
        };
        std::apply([&](const auto&... listed) { (check(listed), ...); }, test::mask_list(length, documents));
    }
}

TEST_CASE("a causal mask gets the zigzag, a bidirectional one contiguous pieces") {
    const sharding zigzag = balanced_sharding(causal{}, 800, 4);
    std::vector<std::vector<range>> pairs;
    for (int rank = 0; rank < 4; ++rank) {
        pairs.emplace_back(zigzag.of(rank).begin(), zigzag.of(rank).end());
    }
    std::sort(pairs.begin(), pairs.end(),
              [](const auto& a, const auto& b) { return a.front().begin < b.front().begin; });
    CHECK(pairs == std::vector<std::vector<range>>{
                       {{0, 100}, {700, 800}}, {{100, 200}, {600, 700}}, {{200, 300}, {500, 600}}, {{300, 500}}});
    CHECK(imbalance(visible_work(causal{}, zigzag)) == 1.0);
    CHECK(balanced_sharding(causal{}, 0, 3).length() == 0);
    CHECK(balanced_sharding(causal{}, 1, 3).length() == 1);
    CHECK(imbalance(visible_work(causal{}, contiguous_sharding(800, 4))) == doctest::Approx(1.75).epsilon(0.01));
    const sharding whole = balanced_sharding(bidirectional{}, 801, 4);
    for (int rank = 0; rank < 4; ++rank) {
        CHECK(whole.of(rank).size() == 1);
        CHECK(whole.of(rank)[0] == contiguous_sharding(801, 4).of(rank)[0]);
    }
}
