// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <random>
#include <span>
#include <vector>

#include <unmask/random/philox.hpp>
#include <unmask/sampler/draw/draw.hpp>

#include "models.hpp"
#include "scalar_row.hpp"
#include "scalar_sampler.hpp"

using namespace sampler_test;

namespace {

scalar::distribution plain_shape(const std::vector<float>& logits, const categorical& how) {
    std::vector<double> wide(logits.begin(), logits.end());
    const auto p = scalar::softmax(wide, how.temperature > 0 ? how.temperature : 1);
    return how.order == filter_order::top_p_then_top_k
               ? scalar::keep_top_k(scalar::keep_top_p(p, how.top_p), how.top_k)
               : scalar::keep_top_p(scalar::keep_top_k(p, how.top_k), how.top_p);
}

std::vector<float> random_row(std::mt19937& random, std::size_t size) {
    std::normal_distribution<float> normal(0, 2);
    std::vector<float> logits(size);
    for (float& logit : logits) {
        logit = random() % 16 == 0 ? -infinity : normal(random);
    }
    logits[random() % size] = 3;
    return logits;
}

// A user's draw.
struct second_token {
    static constexpr auto kind = policy_kind::draw;
    drawn operator()(std::span<const float> logits, const row_statistics& raw, double, draw_scratch&) const {
        return {1, logits[1] - logits[static_cast<std::size_t>(raw.best)] - raw.log_sum, raw};
    }
};

static_assert(draw_policy<second_token>);

} // namespace

// Rows of more than a chunk of 1024 tokens are not inverted as one. Weights are floats: see row_statistics_test.cpp for
// what that costs.
TEST_CASE("a draw inverts the cumulative distribution at its uniform number, after every filter") {
    std::mt19937 random(7);
    draw_scratch scratch;
    for (const std::size_t size : {1U, 2U, 5U, 33U, 1023U, 1024U, 1025U, 3000U}) {
        const bool one_inversion = size <= 1024;
        for (const index_t top_k : {index_t{0}, index_t{1}, index_t{3}, index_t{40}, index_t{5000}}) {
            for (const double top_p : {1.0, 0.999, 0.6, 0.01}) {
                for (const auto order : {filter_order::top_k_then_top_p, filter_order::top_p_then_top_k}) {
                    const double temperature = 0.5 * static_cast<double>(random() % 5);
                    const categorical draw{temperature, top_k, top_p, order};
                    CAPTURE(size);
                    CAPTURE(top_k);
                    CAPTURE(top_p);
                    CAPTURE(temperature);
                    const auto logits = random_row(random, size);
                    const auto p = plain_shape(logits, draw);
                    const double uniform = uniform_open(static_cast<std::uint32_t>(random()), 0);
                    const drawn result = draw(logits, statistics_of(logits), uniform, scratch);
                    const auto at = static_cast<std::size_t>(result.token);

                    REQUIRE(p[at] > 0);
                    REQUIRE(result.log_probability == doctest::Approx(std::log(p[at])).epsilon(3e-6));
                    REQUIRE(result.shaped.entropy == doctest::Approx(scalar::entropy(p)).epsilon(3e-6));
                    REQUIRE(std::exp(result.shaped.log_best()) == doctest::Approx(p[scalar::by_probability(p)[0]]));
                    if (temperature > 0 && one_inversion) {
                        double below = 0;
                        for (std::size_t i = 0; i < at; ++i) {
                            below += p[i];
                        }
                        REQUIRE(below <= uniform + 1e-6);
                        REQUIRE(below + p[at] >= uniform - 1e-6);
                    } else if (temperature == 0) {
                        REQUIRE(result.token == statistics_of(logits).best);
                    }
                }
            }
        }
    }
}

TEST_CASE("draws follow the distribution: chi-square") {
    constexpr std::size_t size = 50;
    constexpr int draws = 20000;
    std::vector<float> flat(size, 1.5F);
    std::vector<float> zipf(size);
    std::vector<float> spiked(size, -4.0F);
    for (std::size_t i = 0; i < size; ++i) {
        zipf[(i * 7) % size] = static_cast<float>(-std::log(1.0 + static_cast<double>(i)));
    }
    spiked[31] = 0;
    std::uint32_t seed = 0;
    draw_scratch scratch;
    for (const auto& logits : {flat, zipf, spiked}) {
        for (const categorical draw :
             {categorical{1.0}, categorical{0.5}, categorical{2.0, 20}, categorical{1, 0, 0.8}}) {
            CAPTURE(seed);
            const auto p = plain_shape(logits, draw);
            const row_statistics raw = statistics_of(logits);
            std::vector<double> counts(size);
            const philox generator{{++seed, 0}};
            for (std::uint32_t i = 0; i < draws; ++i) {
                const auto words = generator({i, 0, 0, 0});
                const drawn result = draw(logits, raw, uniform_open(words[0], words[1]), scratch);
                ++counts[static_cast<std::size_t>(result.token)];
            }
            double statistic = 0;
            double freedom = -1;
            for (std::size_t i = 0; i < size; ++i) {
                const double expected = p[i] * draws;
                if (expected == 0) {
                    REQUIRE(counts[i] == 0);
                } else {
                    statistic += (counts[i] - expected) * (counts[i] - expected) / expected;
                    freedom += 1;
                }
            }
            CAPTURE(statistic);
            CAPTURE(freedom);
            REQUIRE(statistic < freedom + 4 * std::sqrt(2 * freedom)); // wrong once in ten thousand
            REQUIRE(statistic > freedom - 4 * std::sqrt(2 * freedom));
        }
    }
}

TEST_CASE("temperature 0 is the most likely token, and so is a temperature near it") {
    const std::vector<float> logits{1, 3, 2.5F, 3};
    draw_scratch scratch;
    for (const double temperature : {0.0, 1e-310, 1e-300, 1e-4}) {
        CAPTURE(temperature);
        const drawn result = categorical{temperature}(logits, statistics_of(logits), 0.3, scratch);
        CHECK(result.token == 1);
    }
    CHECK(greedy{}(logits, statistics_of(logits), 0.9, scratch).token == 1);
}

TEST_CASE("ties at a filter's edge: the lowest tokens stay") {
    const std::vector<float> logits{0, 1, 1, 1, 0};
    draw_scratch scratch;
    const auto support = [&](const categorical& draw) {
        std::vector<token_t> found;
        for (double uniform = 0.0005; uniform < 1; uniform += 0.001) {
            const token_t token = draw(logits, statistics_of(logits), uniform, scratch).token;
            if (found.empty() || found.back() != token) {
                found.push_back(token);
            }
        }
        return found;
    };
    CHECK(support({.top_k = 2}) == std::vector<token_t>{1, 2});
    CHECK(support({.top_k = 4}) == std::vector<token_t>{0, 1, 2, 3});
    CHECK(support({.top_p = 0.01}) == std::vector<token_t>{1});
    CHECK(support({.top_p = 0.5}) == std::vector<token_t>{1, 2}); // each of the three has 0.268: the second crosses
    CHECK(support({.top_p = 1}) == std::vector<token_t>{0, 1, 2, 3, 4});
}

TEST_CASE("with both filters, the second sees what the first left") {
    const std::vector<float> logits{std::log(0.4F), std::log(0.3F), std::log(0.2F), std::log(0.1F)};
    draw_scratch scratch;
    const auto kept = [&](filter_order order) {
        const categorical draw{1, 2, 0.5, order};
        return std::exp(draw(logits, statistics_of(logits), 0.01, scratch).shaped.log_best());
    };
    CHECK(kept(filter_order::top_k_then_top_p) == doctest::Approx(1.0));       // 0.4 of 0.7 reaches half
    CHECK(kept(filter_order::top_p_then_top_k) == doctest::Approx(4.0 / 7.0)); // 0.4 of 1 does not
}

TEST_CASE("draws bit for bit against one token at a time, of floats and of bfloat16") {
    std::mt19937 random(3);
    draw_scratch scratch;
    for (const std::size_t size : {1U, 31U, 32U, 100U, 128U, 1000U, 1024U, 1030U, 3000U, 4100U}) {
        for (const double temperature : {0.2, 0.7, 1.0, 3.0}) {
            for (int repeat = 0; repeat < 10; ++repeat) {
                CAPTURE(size);
                CAPTURE(temperature);
                auto logits = random_row(random, size);
                std::vector<bfloat16> halves;
                for (float& logit : logits) {
                    logit = halves.emplace_back(bfloat16(logit));
                }
                const double uniform = uniform_open(static_cast<std::uint32_t>(random()), 0);
                const auto expected = scalar_row::reduce(logits, temperature, uniform);
                const categorical draw{temperature};
                for (const auto& result :
                     {detail::reduce_row(draw, std::span<const float>(logits), uniform, scratch),
                      detail::reduce_row(draw, std::span<const bfloat16>(halves), uniform, scratch)}) {
                    REQUIRE(result.draw.token == static_cast<token_t>(expected.token));
                    REQUIRE(result.raw.log_sum == expected.raw.log_sum);
                    REQUIRE(result.raw.entropy == expected.raw.entropy);
                    REQUIRE(result.draw.shaped.best == expected.shaped.best);
                    REQUIRE(result.draw.shaped.second == expected.shaped.second);
                    REQUIRE(result.draw.shaped.log_sum == expected.shaped.log_sum);
                    REQUIRE(result.draw.shaped.entropy == expected.shaped.entropy);
                }
                const drawn alone = draw(logits, statistics_of(logits), uniform, scratch);
                REQUIRE(alone.token == static_cast<token_t>(expected.token));
            }
        }
    }
}

TEST_CASE("a user's draw gets a bfloat16 row as floats") {
    draw_scratch scratch;
    const std::vector<float> logits{0.5F, 2, -1};
    const std::vector<bfloat16> halves{bfloat16(0.5F), bfloat16(2), bfloat16(-1)};
    const auto of_floats = detail::reduce_row(second_token{}, std::span<const float>(logits), 0.5, scratch);
    const auto of_halves = detail::reduce_row(second_token{}, std::span<const bfloat16>(halves), 0.5, scratch);
    CHECK(of_floats.draw.token == 1);
    CHECK(of_halves.draw.token == 1);
    CHECK(of_floats.raw.log_sum == of_halves.raw.log_sum);
    CHECK(of_floats.draw.log_probability == of_halves.draw.log_probability);
    const std::vector<float> bad{0, infinity};
    CHECK(detail::reduce_row(second_token{}, std::span<const float>(bad), 0.5, scratch).raw.best == -1);
    CHECK(detail::reduce_row(categorical{1, 1}, std::span<const float>(bad), 0.5, scratch).raw.best == -1);
}

namespace {

// The last token that filters keep, by sorting a row of some temperature.
detail::token_floor floor_by_sorting(const std::vector<float>& logits, const categorical& draw) {
    struct token {
        float logit;
        token_t place;
        std::uint64_t weight;
    };
    const auto rule = detail::row_draw::at_temperature(draw.temperature).rule;
    const float highest = *std::max_element(logits.begin(), logits.end());
    std::vector<token> ranked;
    const detail::whole_weights whole(logits.size());
    for (const float logit : logits) {
        const float weight = detail::weight_of(rule.distance(logit, highest), rule);
        ranked.push_back({logit, static_cast<token_t>(ranked.size()), whole.of(weight)});
    }
    std::stable_sort(ranked.begin(), ranked.end(), [](const token& a, const token& b) { return a.logit > b.logit; });
    const auto sum = [&] {
        return std::accumulate(ranked.begin(), ranked.end(), std::uint64_t{0},
                               [](std::uint64_t before, const token& each) { return before + each.weight; });
    };
    // The share of the whole row is of the sum that the row's reading gives.
    const auto read = scalar_row::reduce(logits, draw.temperature > 0 ? draw.temperature : 1, 0.5);
    std::uint64_t share = whole.from(draw.top_p * read.weight);
    if (draw.top_k > 0 && draw.top_k < std::ssize(ranked)) {
        ranked.resize(static_cast<std::size_t>(draw.top_k));
        if (draw.order == filter_order::top_k_then_top_p) {
            share = detail::whole_weights::share_of(sum(), draw.top_p);
        }
    }
    std::uint64_t reached = 0;
    for (const token& each : ranked) {
        reached += each.weight;
        if (draw.top_p < 1 && reached >= share) {
            return {each.logit, each.place};
        }
    }
    return {ranked.back().logit, ranked.back().place};
}

} // namespace

TEST_CASE("filters keep what sorting keeps, and the draw is as if the rest were not there") {
    std::mt19937 random(4);
    draw_scratch scratch;
    for (const std::size_t size : {3U, 100U, 1024U, 1100U, 3500U, 20000U}) {
        std::vector<float> peaked(size);
        std::vector<float> tied(size);
        std::vector<float> sparse(size, -infinity);
        std::vector<bfloat16> halves;
        for (std::size_t i = 0; i < size; ++i) {
            peaked[i] = std::normal_distribution<float>(0, 3)(random);
            halves.emplace_back(peaked[i]);
            tied[i] = static_cast<float>(random() % 4) * 0.5F; // thousands of equals
            sparse[i] = random() % 500 == 0 ? tied[i] : -infinity;
        }
        sparse[size / 2] = 1;
        const std::vector<float> flat(size, -2.0F);
        const std::vector<float> rounded(halves.begin(), halves.end());
        for (const auto& logits : {peaked, tied, flat, sparse, rounded}) {
            for (const categorical draw :
                 {categorical{1, 50}, categorical{0.7, 3000}, categorical{1, 0, 0.9}, categorical{2, 0, 0.9999},
                  categorical{1, 0, 0.001}, categorical{0, 0, 0.5}, categorical{0.4, 2}, categorical{1e-4, 2, 0.9},
                  categorical{1, 700, 0.5}, categorical{1, 700, 0.5, filter_order::top_p_then_top_k},
                  categorical{1, 700, 0.9, filter_order::top_p_then_top_k}}) {
                CAPTURE(size);
                CAPTURE(draw.top_k);
                CAPTURE(draw.top_p);
                CAPTURE(draw.temperature);
                auto kept = logits;
                const detail::token_floor last = floor_by_sorting(logits, draw);
                for (std::size_t token = 0; token < size; ++token) {
                    kept[token] = last.keeps(logits[token], static_cast<token_t>(token)) ? logits[token] : -infinity;
                }
                const double uniform = uniform_open(static_cast<std::uint32_t>(random()), 0);
                const auto of_row = detail::reduce_row(draw, std::span<const float>(logits), uniform, scratch);
                const categorical unfiltered{draw.temperature};
                const auto of_kept = detail::reduce_row(unfiltered, std::span<const float>(kept), uniform, scratch);
                REQUIRE(of_row.raw.log_sum == statistics_of(logits).log_sum);
                REQUIRE(of_row.draw.token == of_kept.draw.token);
                REQUIRE(of_row.draw.log_probability == of_kept.draw.log_probability);
                REQUIRE(of_row.draw.shaped.best == of_kept.draw.shaped.best);
                REQUIRE(of_row.draw.shaped.second == of_kept.draw.shaped.second);
                REQUIRE(of_row.draw.shaped.log_sum == of_kept.draw.shaped.log_sum);
                REQUIRE(of_row.draw.shaped.entropy == of_kept.draw.shaped.entropy);
                if (&logits == &rounded) {
                    const auto of_halves =
                        detail::reduce_row(draw, std::span<const bfloat16>(halves), uniform, scratch);
                    REQUIRE(of_halves.draw.token == of_row.draw.token);
                    REQUIRE(of_halves.draw.shaped.log_sum == of_row.draw.shaped.log_sum);
                }
            }
        }
    }
}

// What other instruction sets, compilers and flags must give too.
TEST_CASE("filtered draws: the same bits everywhere") {
    std::uint64_t hash = 0;
    std::uint32_t word = 1;
    draw_scratch scratch;
    for (const std::size_t size : {32U, 900U, 4000U}) {
        std::vector<float> logits(size);
        for (float& logit : logits) {
            word = word * 1664525U + 1013904223U;
            logit = static_cast<float>(static_cast<std::int32_t>(word)) * 0x1p-29F;
        }
        for (const categorical draw : {categorical{0.7, 20}, categorical{1, 0, 0.9}, categorical{1.5, 300, 0.6}}) {
            const auto row = detail::reduce_row(draw, std::span<const float>(logits), 0.7, scratch);
            hash = (hash ^ static_cast<std::uint64_t>(row.draw.token)) * 0x100000001b3U;
            for (const double each : {row.draw.log_probability, row.draw.shaped.entropy, row.draw.shaped.log_sum}) {
                hash = (hash ^ std::bit_cast<std::uint64_t>(each)) * 0x100000001b3U;
            }
        }
    }
    CHECK(hash == 18126193589978223593U);
}
