// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Rows whose vocabulary is divided among ranks have the statistics and the tokens of whole rows, bit for bit.

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <unmask/executor/cpu_executor.hpp>
#include <unmask/parallel/rows.hpp>
#include <unmask/parallel/thread_communicator.hpp>

using namespace unmask;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

void check_same_bits(const row_statistics& a, const row_statistics& b) {
    const auto same = [](auto x, auto y) {
        using bits = std::conditional_t<sizeof x == 8, std::uint64_t, std::uint32_t>;
        return std::bit_cast<bits>(x) == std::bit_cast<bits>(y);
    };
    REQUIRE(a.best == b.best);
    REQUIRE(same(a.second, b.second));
    REQUIRE(same(a.log_sum, b.log_sum));
    REQUIRE(same(a.entropy, b.entropy));
}

// Rows of many kinds: wide, narrow, with tokens that are forbidden, with a shard or all but one that is, with faults.
template <class Logit>
std::vector<Logit> hostile_rows(std::size_t count, token_t size, std::uint32_t seed) {
    std::mt19937 random(seed);
    std::vector<Logit> logits(count * static_cast<std::size_t>(size));
    for (std::size_t row = 0; row < count; ++row) {
        const float spread = row % 3 == 0 ? 30.0F : 2.0F;
        for (token_t token = 0; token < size; ++token) {
            float logit = std::normal_distribution<float>(0, spread)(random);
            const bool forbidden = (row % 5 == 1 && random() % 4 == 0) || (row % 7 == 2 && token < size / 2) ||
                                   (row % 7 == 3 && token > size / 2) || (row % 11 == 4 && token != size - 1);
            logit = forbidden ? -infinity : logit;
            logits[row * static_cast<std::size_t>(size) + static_cast<std::size_t>(token)] = static_cast<Logit>(logit);
        }
    }
    const auto at = [&](std::size_t row, token_t token) -> Logit& {
        return logits[row * static_cast<std::size_t>(size) + static_cast<std::size_t>(token)];
    };
    at(count - 1, size / 3) = static_cast<Logit>(infinity);
    at(count - 2, size - 1) = static_cast<Logit>(std::nanf(""));
    for (token_t token = 0; token < size; ++token) {
        at(count - 3, token) = static_cast<Logit>(-infinity);
    }
    return logits;
}

template <class Logit, class Draw>
void check_ranks(const Draw& draw, const vocabulary& tokens) {
    constexpr std::size_t count = 37;
    const std::vector<Logit> logits = hostile_rows<Logit>(count, tokens.size, 5);
    std::vector<double> uniforms;
    std::mt19937 random(7);
    for (std::size_t row = 0; row < count; ++row) {
        uniforms.push_back((static_cast<double>(random()) + 0.5) * 0x1p-32);
    }
    const detail::row_draw how = detail::row_draw_of("test", draw);
    for (int ranks = 1; ranks <= 4; ++ranks) {
        CAPTURE(ranks);
        CAPTURE(tokens.size);
        run_ranks(ranks, [&](const thread_communicator& c) {
            const token_range mine = tokens_of_rank(tokens, c.rank(), c.size());
            std::vector<Logit> part;
            for (std::size_t row = 0; row < count; ++row) {
                const auto begin = logits.begin() + static_cast<std::ptrdiff_t>(row) * tokens.size;
                part.insert(part.end(), begin + mine.begin, begin + mine.end);
            }
            const auto found = draw_rows(c, cpu_executor{1}, draw, tokens,
                                         tensor_view<const Logit, 2>(view(part.data(), count, mine.size())), uniforms);
            REQUIRE(found.size() == count);
            for (std::size_t row = 0; row < count; ++row) {
                CAPTURE(row);
                std::vector<Logit> whole(logits.begin() + static_cast<std::ptrdiff_t>(row) * tokens.size,
                                         logits.begin() + static_cast<std::ptrdiff_t>(row + 1) * tokens.size);
                if (tokens.mask >= 0 && tokens.mask < tokens.size) {
                    whole[static_cast<std::size_t>(tokens.mask)] = static_cast<Logit>(-infinity);
                }
                const auto expected = detail::read_row(how, std::span<const Logit>(whole), uniforms[row]);
                check_same_bits(found[row].statistics, expected.raw);
                if (expected.raw.best >= 0) {
                    REQUIRE(found[row].draw.token == expected.draw.token);
                    REQUIRE(found[row].draw.log_probability == expected.draw.log_probability);
                    check_same_bits(found[row].draw.shaped, expected.draw.shaped);
                }
            }
        });
    }
}

} // namespace

TEST_CASE("every token has one rank, and ranks have whole tiles") {
    for (const token_t size : {1, 1000, 1024, 1025, 5000, 126464}) {
        for (int ranks = 1; ranks <= 6; ++ranks) {
            index_t next = 0;
            for (int rank = 0; rank < ranks; ++rank) {
                const token_range mine = tokens_of_rank({.size = size, .mask = size}, rank, ranks);
                CHECK(mine.begin == next);
                CHECK((mine.begin % logits_stream::tile_unit == 0 || mine.size() == 0));
                CHECK(mine.size() <= size / ranks + 2 * logits_stream::tile_unit);
                next = mine.end;
            }
            CHECK(next == size);
        }
    }
}

TEST_CASE("rows that no rank has whole are read and drawn from as if one had") {
    for (const vocabulary& tokens : {vocabulary{.size = 5000, .mask = 5000}, vocabulary{.size = 4096, .mask = 2050},
                                     vocabulary{.size = 700, .mask = 699}, vocabulary{.size = 3100, .mask = 3099}}) {
        check_ranks<float>(greedy{}, tokens);
        check_ranks<float>(categorical{.temperature = 1.0}, tokens);
        check_ranks<float>(categorical{.temperature = 0.6}, tokens);
        check_ranks<bfloat16>(categorical{.temperature = 1.0}, tokens);
    }
}

TEST_CASE("no rows, and arguments that are wrong") {
    const vocabulary tokens{.size = 3000, .mask = 3000};
    run_ranks(2, [&](const thread_communicator& c) {
        const index_t size = tokens_of_rank(tokens, c.rank(), 2).size();
        std::vector<float> logits(static_cast<std::size_t>(size));
        const std::vector<double> uniforms{0.5};
        const auto call = [&](index_t rows, index_t columns, std::size_t numbers, const categorical& draw) {
            return draw_rows(c, cpu_executor{1}, draw, tokens,
                             tensor_view<const float, 2>(view(logits.data(), rows, columns)),
                             std::span(uniforms).first(numbers));
        };
        const auto complaint = [&](auto... arguments) -> std::string {
            try {
                call(arguments...);
            } catch (const invalid_argument& error) {
                return error.what();
            }
            return {};
        };
        CHECK(call(0, size, 0, {}).empty());
        CHECK(complaint(1, size - 1, std::size_t{1}, categorical{}) ==
              "draw_rows: logits.extents[1] is " + std::to_string(size - 1) + ", expected " + std::to_string(size));
        CHECK(complaint(1, size, std::size_t{0}, categorical{}) == "draw_rows: uniforms.size() is 0, expected 1");
        CHECK(complaint(1, size, std::size_t{1}, categorical{.top_k = 3}) ==
              "draw_rows: categorical.top_k is 3, expected 0: no such filter");
    });
    CHECK_THROWS_AS((void)tokens_of_rank(tokens, 2, 2), invalid_argument);
}
