// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <bit>
#include <cmath>
#include <cstdint>
#include <random>
#include <string>

#include <unmask/sampler/guidance/guidance.hpp>
#include <unmask/sampler/logits/allowed_tokens.hpp>
#include <unmask/sampler/logits/credit.hpp>
#include <unmask/sampler/logits/logits_policy.hpp>
#include <unmask/sampler/logits/suppress_tokens.hpp>
#include <unmask/sampler/sampler.hpp>

#include "models.hpp"

using namespace sampler_test;

namespace {

using floats = std::vector<float>;

constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

floats random_row(std::mt19937& random, std::size_t size) {
    std::normal_distribution<float> normal(0, 3);
    floats logits(size);
    for (float& logit : logits) {
        logit = random() % 10 == 0 ? -infinity : normal(random);
    }
    return logits;
}

// What a policy makes of a row of a canvas with one masked position.
template <class Policy>
floats shaped(const Policy& policy, floats logits, token_t mask = 1000) {
    canvas page({.size = static_cast<token_t>(logits.size()), .mask = mask, .end = {}});
    page.add({}, 1);
    detail::memory_of<Policy> memory{};
    detail::shape_logits(policy, page, {0, 0}, logits, memory);
    return logits;
}

bool close(float a, float b) {
    return a == b || std::abs(a - b) <= 1e-6F * (1 + std::abs(b));
}

// dInfer's rule as published: a credit for every token of the vocabulary.
struct dense_credit {
    std::vector<double> credits;

    floats operator()(floats logits, double decay, double power, double weight) {
        credits.resize(logits.size());
        std::size_t best = 0;
        for (std::size_t token = 0; token < logits.size(); ++token) {
            best = logits[token] > logits[best] ? token : best;
            credits[token] *= decay;
        }
        double sum = 0;
        for (const float logit : logits) {
            sum += std::exp(static_cast<double>(logit) - static_cast<double>(logits[best]));
        }
        credits[best] += std::pow(1 / sum, power);
        for (std::size_t token = 0; token < logits.size(); ++token) {
            logits[token] += static_cast<float>(weight * std::log(credits[token] + 1));
        }
        return logits;
    }
};

// The nearest float, which may be infinite.
float to_float(double value) {
    constexpr double beyond = 0x1.ffffffp127; // from here on, the nearest is infinity
    return value >= beyond ? infinity : value <= -beyond ? -infinity : static_cast<float>(value);
}

// What guidance makes of two logits by `formula`; NaN stands for NaN and +∞.
template <class Formula>
float guided(float c, float u, Formula formula) {
    if (std::isnan(c) || std::isnan(u) || c == infinity || u == infinity) {
        return not_a_number;
    }
    return c == -infinity || u == -infinity ? c : formula(c, u);
}

} // namespace

TEST_CASE("suppress_tokens forbids its tokens and nothing else") {
    CHECK(shaped(suppress_tokens{{2, 0, 2, 99}}, {1, 2, 3, 4}) == floats{-infinity, 2, -infinity, 4});
    CHECK(shaped(suppress_tokens{}, {1, 2}) == floats{1, 2});
    CHECK(wrong_argument(suppress_tokens{{3, -1}}) == "suppress_tokens.tokens");
}

TEST_CASE("allowed_tokens: bitmasks and predicates forbid what they don't allow") {
    std::mt19937 random(31);
    for (const std::size_t size : {1U, 31U, 32U, 33U, 70U, 96U}) {
        for (int repeat = 0; repeat < 30; ++repeat) {
            CAPTURE(size);
            const floats logits = random_row(random, size);
            std::vector<std::uint32_t> words(1 + random() % 4); // too few, enough or too many
            for (std::uint32_t& word : words) {
                word = repeat % 3 == 0 ? 0U : repeat % 3 == 1 ? ~0U : static_cast<std::uint32_t>(random());
            }
            words[0] ^= 1U << (random() % 32);
            const auto is_allowed = [&](token_t token) {
                const auto word = static_cast<std::size_t>(token) / 32;
                return word < words.size() && (words[word] & (1U << (token % 32))) != 0;
            };
            floats expected = logits;
            for (std::size_t token = 0; token < size; ++token) {
                expected[token] = is_allowed(static_cast<token_t>(token)) ? logits[token] : -infinity;
            }
            const auto bits = [&](const canvas&, row) { return std::span<const std::uint32_t>(words); };
            const auto copied = [&](const canvas&, row) { return words; };
            const auto predicate = [&](const canvas&, row) { return is_allowed; };
            REQUIRE(shaped(allowed_tokens{bits}, logits) == expected);
            REQUIRE(shaped(allowed_tokens{copied}, logits) == expected);
            REQUIRE(shaped(allowed_tokens{predicate}, logits) == expected);
        }
    }
    const auto anything = [](const canvas&, row) { return std::span<const std::uint32_t>(); };
    CHECK(shaped(allowed_tokens{anything}, {1, 2, 3}) == floats{1, 2, 3});
}

TEST_CASE("credit is dInfer's rule with a list of tokens for the whole vocabulary") {
    std::mt19937 random(32);
    for (const credit policy : {credit{}, credit{0.5, 1, 2}, credit{1, 0, 0.1}, credit{0, 0.2, 0.7}}) {
        constexpr token_t mask = 7;
        canvas page({.size = 12, .mask = mask, .end = {}});
        page.add({}, 1);
        credit::memory memory;
        dense_credit dense;
        for (index_t step = 1; step <= 30; ++step) {
            floats logits = random_row(random, 12);
            logits[0] = 1;
            logits[random() % 3] += 6; // the same tokens again and again
            floats without_mask = logits;
            logits[mask] = random() % 2 == 0 ? 50.0F : infinity; // not read
            without_mask[mask] = -infinity;
            const floats expected = dense(without_mask, policy.decay, policy.power, policy.weight);
            policy(page, {0, 0}, logits, memory);
            for (std::size_t token = 0; token < 12; ++token) {
                REQUIRE(close(logits[token], expected[token]));
            }
            REQUIRE(std::ssize(memory) <= step);
        }
        CHECK(memory.size() < 12);
    }
    floats bad{1, not_a_number, 2};
    CHECK(std::isnan(shaped(credit{}, bad)[1])); // left for the sampler to report
    CHECK(wrong_argument(credit{.decay = 1.1}) == "credit.decay");
    CHECK(wrong_argument(credit{.power = -1}) == "credit.power");
    CHECK(wrong_argument(credit{.weight = std::nan("")}) == "credit.weight");
}

TEST_CASE("logits_chain applies its policies in order, each with its own memory") {
    const floats logits{3, 2, 1, 0};
    const suppress_tokens first{{0}};
    const floats after = shaped(logits_chain{first, credit{}}, logits);
    CHECK(after == shaped(credit{}, shaped(first, logits))); // the credit goes to token 1
    CHECK(after != shaped(logits_chain{credit{}, first}, logits));
    CHECK(shaped(logits_chain{}, logits) == logits);

    canvas page({.size = 4, .mask = 9, .end = {}});
    page.add({}, 1);
    const logits_chain twice{credit{}, first, credit{1, 0, 1}};
    decltype(twice)::memory memory;
    dense_credit one;
    dense_credit other;
    for (int step = 0; step < 5; ++step) {
        floats row = logits;
        twice(page, {0, 0}, row, memory);
        floats expected = one(logits, 0.8, 0.2, 0.7);
        expected[0] = -infinity;
        expected = other(expected, 1, 0, 1);
        for (std::size_t token = 1; token < 4; ++token) {
            REQUIRE(close(row[token], expected[token]));
        }
        REQUIRE(row[0] == -infinity);
    }
    CHECK(wrong_argument(logits_chain{first, credit{-1}}) == "credit.decay");
    CHECK(wrong_argument(twice) == "none");
    static_assert(logits_policy<decltype(twice)> && logits_policy<suppress_tokens> && logits_policy<credit>);
    static_assert(!logits_policy<guidance> && guidance_policy<guidance>);
}

TEST_CASE("guidance is u + (w+1)(c-u), with care for what is forbidden or not a number") {
    const float largest = std::numeric_limits<float>::max();
    const float tiny_nan = std::bit_cast<float>(0xff800001U);
    const floats special{-infinity, infinity, not_a_number, tiny_nan, 0,      -0.0F, 1.5F,
                         -2,        largest,  -largest,     2e38F,    -2e38F, 1e-45F};
    for (const float c : special) {
        for (const float u : special) {
            for (const float w : {0.0F, 0.25F, 1.0F, 2.5F, 3e38F}) {
                CAPTURE(c);
                CAPTURE(u);
                CAPTURE(w);
                // At every place of what is guided together, and in what is left over at the end.
                floats conditional(101, c);
                guidance{w}(conditional, floats(101, u));
                const float expected = guided(c, u, [&](double a, double b) { return to_float(a + w * (a - b)); });
                for (const float result : conditional) {
                    const bool rounded = std::abs(result - expected) <= 1e-6F * std::abs(expected) + 3e-45F;
                    const bool near = result == expected || (w > 0 && rounded);
                    const bool fine = std::isnan(expected) ? detail::is_bad_logit(result) : near;
                    REQUIRE(fine);
                }
                for (std::size_t at = 0; at < 101; ++at) { // one among others
                    floats mixed(101, 1.0F);
                    floats without(101, 3.0F);
                    mixed[at] = c;
                    without[at] = u;
                    guidance{w}(mixed, without);
                    REQUIRE(std::bit_cast<std::uint32_t>(mixed[at]) == std::bit_cast<std::uint32_t>(conditional[at]));
                    mixed[at] = mixed[(at + 1) % 101];
                    REQUIRE(mixed == floats(101, 1 - 2 * w));
                }
            }
        }
    }
    std::mt19937 random(33);
    for (std::size_t size = 0; size < 70; ++size) {
        const floats c = random_row(random, size);
        const floats u = random_row(random, size);
        floats result = c;
        guidance{1.5}(result, u);
        for (std::size_t i = 0; i < size; ++i) {
            CAPTURE(c[i]);
            CAPTURE(u[i]);
            const float expected = guided(c[i], u[i], [](double a, double b) {
                return static_cast<float>(b + 2.5 * (a - b)); // LLaDA's form
            });
            const bool fine = result[i] == expected || std::abs(result[i] - expected) < 1e-5F;
            REQUIRE(fine);
        }
        guidance{0}(result = c, u);
        REQUIRE(result == c); // bit for bit
    }
    floats two{1, 2};
    CHECK_THROWS_AS(guidance{1}(two, floats{1}), invalid_argument);
    CHECK(wrong_argument(guidance{-1}) == "guidance.scale");
    CHECK(wrong_argument(guidance{INFINITY}) == "guidance.scale");
    CHECK(wrong_argument(guidance{1e39}) == "guidance.scale");
}

TEST_CASE("in a run: a grammar by bitmask, an end token that is never drawn, and threads change nothing") {
    // Even positions may get 0, 1 or the end, odd ones 2 or 3; the end is suppressed.
    const vocabulary tokens{.size = 5, .mask = 5, .end = 4};
    const std::vector<std::uint32_t> even{0b10011};
    const std::vector<std::uint32_t> odd{0b01100};
    const allowed_tokens grammar{[&](const canvas&, row where) -> const std::vector<std::uint32_t>& {
        return where.position % 2 == 0 ? even : odd;
    }};
    const sampler policy{steps{8}, categorical{.temperature = 2}, logits_chain{grammar, suppress_tokens{{4}}}};
    std::vector<token_t> first;
    for (const int threads : {1, 2}) {
        auto model = make_model(tokens, random_logits{.seed = 5, .spread = 2, .forbidden = 0});
        canvas page(tokens);
        page.add({}, 40);
        policy(cpu_executor{threads}, model, page, 2);
        for (index_t i = 0; i < 40; ++i) {
            REQUIRE(page.token(0, i) / 2 == i % 2);
        }
        first = threads == 1 ? to_vector(page.tokens()) : first;
        CHECK(first == to_vector(page.tokens()));
    }
}

TEST_CASE("in a run: credit is kept from step to step, for every position of its own") {
    // The most likely token gains weight log(1 + C) with C = p^power (1 + decay + … ) up to the step it is committed
    // at.
    const vocabulary tokens{.size = 2, .mask = 2, .end = {}};
    auto model = make_model(tokens, [](std::span<const token_t>, index_t position, token_t token) {
        return token == position % 2 ? 1.0F : 0.0F;
    });
    canvas page(tokens);
    page.add(std::vector<token_t>{0}, 3);
    page.add({}, 5);
    const double p = 1 / (1 + std::exp(-1.0));
    const credit policy;
    double credits = 0;
    sampler{steps{5}, policy}(cpu_executor{1}, model, page, 1, [&](const sampler_step& step) {
        credits = credits * policy.decay + std::pow(p, policy.power);
        const double logit = 1 + policy.weight * std::log1p(credits);
        for (const commitment& one : step.commitments) {
            CHECK(one.token == one.where.position % 2);
            CHECK(one.log_probability == doctest::Approx(-std::log1p(std::exp(-logit))).epsilon(1e-6));
        }
    });
    CHECK(page.masked() == 0);
}
