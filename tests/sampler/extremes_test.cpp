// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <span>
#include <vector>

#include <unmask/random/philox.hpp>
#include <unmask/sampler/likelihood/likelihood.hpp>
#include <unmask/sampler/logits_stream.hpp>
#include <unmask/sampler/presets.hpp>
#include <unmask/sampler/vocabulary_shard.hpp>

#include "models.hpp"
#include "scalar_row.hpp"

// Finite logits are numbers, however large, and parameters in their range do what they say at its ends.

using namespace sampler_test;

namespace {

constexpr float largest = std::numeric_limits<float>::max();

struct distribution {
    std::vector<long double> p;
    long double log_best = 0;
    long double entropy = 0;
};

// softmax(logits / temperature) of the kept tokens.
distribution softmax(const std::vector<float>& logits, double temperature, const std::vector<bool>& keeps) {
    distribution result;
    long double highest = -INFINITY;
    for (std::size_t i = 0; i < logits.size(); ++i) {
        highest = keeps[i] ? std::max(highest, static_cast<long double>(logits[i])) : highest;
    }
    long double sum = 0;
    for (std::size_t i = 0; i < logits.size(); ++i) {
        const long double distance = (logits[i] - highest) / static_cast<long double>(temperature);
        result.p.push_back(keeps[i] ? std::exp(distance) : 0);
        sum += result.p.back();
    }
    for (long double& each : result.p) {
        each /= sum;
        result.entropy -= each > 0 ? each * std::log(each) : 0;
    }
    result.log_best = -std::log(sum);
    return result;
}

// The tokens that top-k and then top-p keep.
std::vector<bool> kept_tokens(const std::vector<float>& logits, const categorical& draw) {
    std::vector<std::size_t> order(logits.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return logits[a] > logits[b]; });
    order.resize(draw.top_k > 0 ? std::min(order.size(), static_cast<std::size_t>(draw.top_k)) : order.size());
    std::vector<bool> keeps(logits.size());
    for (const std::size_t token : order) {
        keeps[token] = true;
    }
    const distribution all = softmax(logits, draw.temperature, keeps);
    long double sum = 0;
    for (const std::size_t token : order) {
        keeps[token] = sum < draw.top_p - 1e-9;
        sum += all.p[token];
    }
    return keeps;
}

const categorical filters[] = {{1}, {1, 3}, {1, 0, 0.7619053}, {1, 700, 0.4012713}};

// A row of up to four different logits `apart` from each other, around `level`; some tokens are forbidden.
std::vector<float> some_row(std::size_t size, float level, float apart, std::mt19937& random) {
    std::vector<float> logits(size);
    for (float& logit : logits) {
        logit = random() % 8 == 0
                    ? -infinity
                    : static_cast<float>(double{level} + double{apart} * static_cast<double>(random() % 4));
    }
    logits[random() % size] = level;
    return logits;
}

} // namespace

TEST_CASE("every temperature, and logits as far apart as it tells apart, and as far as floats can be") {
    std::mt19937 random(1);
    draw_scratch scratch;
    for (const std::size_t size : {2U, 5U, 100U, 128U, 1000U, 1024U, 3000U}) {
        for (const double temperature :
             {5e-324, 1e-308, 1e-300, 1e-45, 1e-37, 1e-30, 1e-12,
              1e12,   1e19,   2e19,   1e30,  1e36,  1e37,  1e38,
              3e38,   1e39,   1e45,   1e60,  1e300, 1e308, std::numeric_limits<double>::max()}) {
            const auto near = static_cast<float>(std::clamp(temperature, 1e-30, 1e38));
            for (const float apart : {near, near / 16, 1e-10F, 1.0F, 1e37F, 8e37F, largest / 2}) {
                const float level = apart > 1e37F ? -largest : random() % 2 == 0 ? 0.0F : 2 * apart;
                const std::vector<float> logits = some_row(size, level, apart, random);
                for (categorical draw : filters) {
                    draw.temperature = temperature;
                    CAPTURE(size);
                    CAPTURE(temperature);
                    CAPTURE(apart);
                    CAPTURE(draw.top_k);
                    CAPTURE(draw.top_p);
                    const double uniform = uniform_open(static_cast<std::uint32_t>(random()), 0);
                    const auto row = detail::reduce_row(draw, std::span<const float>(logits), uniform, scratch);
                    const distribution expected =
                        softmax(logits, std::max(1e-37, temperature), kept_tokens(logits, draw));
                    REQUIRE(row.draw.token >= 0);
                    const auto p = static_cast<double>(expected.p[static_cast<std::size_t>(row.draw.token)]);
                    REQUIRE(p > 0);
                    REQUIRE(row.draw.log_probability == doctest::Approx(std::log(p)).epsilon(3e-6));
                    REQUIRE(row.draw.shaped.log_best() ==
                            doctest::Approx(static_cast<double>(expected.log_best)).epsilon(3e-6));
                    REQUIRE(row.draw.shaped.entropy ==
                            doctest::Approx(static_cast<double>(expected.entropy)).epsilon(3e-6));
                    if (draw.top_k == 0 && draw.top_p == 1) {
                        REQUIRE(row.draw.token ==
                                static_cast<token_t>(scalar_row::reduce(logits, temperature, uniform).token));
                    }
                }
            }
        }
    }
}

TEST_CASE("rows of the lowest logits are drawn from, filtered, streamed and merged as any") {
    std::mt19937 random(2);
    draw_scratch scratch;
    for (const token_t size : {2, 100, 1024, 3000}) {
        for (const float level : {-largest, -3.2e38F, largest}) {
            std::vector<float> logits(static_cast<std::size_t>(size), level);
            std::vector<float> zeros(logits.size(), 0.0F);
            for (std::size_t i = 1; i < logits.size(); ++i) {
                const bool forbidden = random() % 3 == 0;
                logits[i] = forbidden ? -infinity : level;
                zeros[i] = forbidden ? -infinity : 0;
            }
            for (categorical draw : filters) {
                for (const double temperature : {0.0, 0.7, 1.0}) {
                    draw.temperature = temperature;
                    CAPTURE(size);
                    CAPTURE(level);
                    const double uniform = uniform_open(static_cast<std::uint32_t>(random()), 0);
                    const auto of = [&](const std::vector<float>& row) {
                        return detail::reduce_row(draw, std::span<const float>(row), uniform, scratch);
                    };
                    const auto expected = of(zeros);
                    REQUIRE(of(logits).draw.token == expected.draw.token);
                    REQUIRE(of(logits).draw.log_probability == expected.draw.log_probability);
                    if (draw.top_k > 0 || draw.top_p < 1) {
                        continue;
                    }
                    logits_stream stream({size, size});
                    stream.reset(1);
                    stream.expect(0, draw, uniform, 0);
                    stream.write(0, 0, std::span<const float>(logits));
                    REQUIRE(stream.fault(0) == "");
                    REQUIRE(stream.result(0).result.draw.token == expected.draw.token);
                    REQUIRE(stream.result(0).held_log_probability == -expected.raw.log_sum);
                    const auto half = std::span<const float>(logits).first(logits.size() / 2);
                    const auto rest = std::span<const float>(logits).subspan(half.size());
                    const vocabulary_shard lower(draw, half, 0, uniform);
                    const vocabulary_shard both =
                        lower.merged(vocabulary_shard(draw, rest, static_cast<token_t>(half.size()), uniform), 0.3);
                    REQUIRE(both.statistics().log_sum == doctest::Approx(expected.raw.log_sum));
                }
            }
        }
    }
}

TEST_CASE("a model that writes the lowest float for never: its choices are drawn, and have a likelihood") {
    // Even positions have two tokens, odd ones none that is better than “never”.
    const vocabulary tokens{.size = 6, .mask = 5, .end = {}};
    auto model = make_model(tokens, [](std::span<const token_t>, index_t position, token_t token) {
        return position % 2 == 0 && token < 2 ? 1.0F : -largest;
    });
    canvas page(tokens);
    page.add({}, 8);
    CHECK_NOTHROW(sampler{steps{4}, categorical{}, confidence{}}(cpu_executor{1}, model, page, 1));
    for (index_t i = 0; i < 8; i += 2) {
        CHECK(page.token(0, i) < 2);
    }
    const std::vector<token_t> text{0, 3, 1, 2};
    const likelihood_bound bound = log_likelihood(cpu_executor{1}, model, std::vector<token_t>{}, text);
    CHECK(bound.value == doctest::Approx(-2 * std::log(2.0) - 2 * std::log(5.0)).epsilon(0.02));
    const likelihood_bound never =
        log_likelihood(cpu_executor{1}, model, std::vector<token_t>{}, std::vector<token_t>{3});
    CHECK(never.value == doctest::Approx(-static_cast<double>(largest)));
}

TEST_CASE("logarithms down to the smallest double") {
    for (const double x : {5e-324, 1e-320, 1e-310, 2.2250738585072009e-308, 2.2250738585072014e-308, 1e-300}) {
        CHECK(exact::log_of_probability(x) == doctest::Approx(std::log(x)).epsilon(1e-15));
        CHECK(exact::log_of_1_minus_exp(-x) == doctest::Approx(std::log(x)).epsilon(1e-15));
    }
    CHECK(exact::log_of_probability(0) == -INFINITY);
}

TEST_CASE("noise of any temperature orders positions: by the score alone, or by the noise alone") {
    std::mt19937 random(3);
    std::vector<candidate> some(50);
    for (candidate& one : some) {
        one.raw.log_sum = std::uniform_real_distribution<double>(0, 2)(random);
        one.raw_log_probability = -one.raw.log_sum;
        one.random = uniform_open(static_cast<std::uint32_t>(random()), 7);
    }
    const double hottest = std::numeric_limits<double>::max();
    for (const candidate& a : some) {
        CHECK(std::isfinite(noisy{confidence{}, hottest}(a).value));
        CHECK(std::isfinite(noisy{confidence{}, 5e-324}(a).value));
        for (const candidate& b : some) {
            const auto before = [&](double heat) {
                return noisy{confidence{}, heat}(a).value < noisy{confidence{}, heat}(b).value;
            };
            CHECK(before(5e-324) == (a.raw_log_probability < b.raw_log_probability));
            CHECK(before(hottest) == (a.random > b.random)); // large noise comes from small numbers
            CHECK(before(1e299) == (a.random > b.random));
        }
    }
}

TEST_CASE("budgets of the largest number, and times of 0") {
    const vocabulary tokens{.size = 5, .mask = 5, .end = {}};
    constexpr index_t most = std::numeric_limits<index_t>::max();
    const auto run = [&](const auto& sampler) {
        auto model = make_model(tokens, [](std::span<const token_t> text, index_t, token_t token) {
            const bool whole = std::count(text.begin(), text.end(), 5) == 0;
            return token == (whole ? 2 : 1) ? 9.0F : 0.0F; // another opinion once the text is whole
        });
        model.may_ask_committed = true;
        canvas page(tokens);
        page.add(std::vector<token_t>{1}, 12);
        const statistics result = sampler(cpu_executor{1}, model, page, 1);
        CHECK(page.masked() == 0);
        return result;
    };
    CHECK(run(sampler{steps{most}}).calls == 12);
    CHECK(run(sampler{steps_per_block{most}, block_length{5}}).calls == 12);
    CHECK(run(sampler{steps{4}, edit{.probability = 0.5, .rounds = most}}).edited == 12);
    const index_t remasked = run(presets::remdm({.steps = 8}, remdm_loop{.eta = 1, .t_on = 1, .t_off = 0})).remasked;
    CHECK(remasked > 0);
    for (const double t_off : {0.0, 5e-324}) { // the last step commits all that is left
        const statistics loop = run(presets::remdm({.steps = 8}, remdm_loop{.eta = 0.5, .t_on = 0.9, .t_off = t_off}));
        CHECK(loop.calls <= 8);
    }
    CHECK(complaint([] { likelihood_options{.z = 1e308}.check(); }) ==
          "log_likelihood: options.z is " + std::to_string(1e308) + ", expected in (0, 40]");
}
