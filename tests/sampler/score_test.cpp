// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <string>

#include <unmask/random/philox.hpp>
#include <unmask/sampler/sampler.hpp>
#include <unmask/sampler/score/end_last.hpp>
#include <unmask/sampler/score/noisy.hpp>

#include "models.hpp"

using namespace sampler_test;

namespace {

// Both sides of a candidate, from probabilities; `token` is the drawn one.
candidate candidate_of(const std::vector<double>& raw, const std::vector<double>& shaped, std::size_t token) {
    const auto logits = [](const std::vector<double>& p) {
        std::vector<float> row;
        for (const double each : p) {
            row.push_back(static_cast<float>(std::log(each)));
        }
        return row;
    };
    candidate one;
    one.token = static_cast<token_t>(token);
    one.raw_log_probability = std::log(raw[token]);
    one.shaped_log_probability = std::log(shaped[token]);
    one.raw = statistics_of(logits(raw));
    one.shaped = statistics_of(logits(shaped));
    return one;
}

double entropy_of(const std::vector<double>& p) {
    double sum = 0;
    for (const double each : p) {
        sum -= each * std::log(each);
    }
    return sum;
}

// A score that is given.
struct fixed_score {
    static constexpr auto kind = policy_kind::score;
    double value;
    score operator()(const candidate& /*position*/) const { return {value}; }
};

// The chance that the first two drawn without replacement, weighted by exp(c / temperature), are these.
double chance_of_pair(const std::vector<double>& c, double temperature, std::size_t first, std::size_t second) {
    double sum = 0;
    for (const double each : c) {
        sum += std::exp(each / temperature);
    }
    const double one = std::exp(c[first] / temperature);
    return one / sum * std::exp(c[second] / temperature) / (sum - one);
}

} // namespace

TEST_CASE("scores are what their names say, of the probabilities that were asked for") {
    const std::vector<double> raw{0.5, 0.3, 0.2};
    const std::vector<double> shaped{0.7, 0.25, 0.05};
    const candidate one = candidate_of(raw, shaped, 1);
    CHECK(confidence{}(one).value == doctest::Approx(std::log(0.3)));
    CHECK(confidence{score_from::shaped}(one).value == doctest::Approx(std::log(0.25)));
    CHECK(margin{}(one).value == doctest::Approx(std::log(0.2)));
    CHECK(margin{score_from::shaped}(one).value == doctest::Approx(std::log(0.45)));
    CHECK(negative_entropy{}(one).value == doctest::Approx(-entropy_of(raw)));
    CHECK(negative_entropy{score_from::shaped}(one).value == doctest::Approx(-entropy_of(shaped)));
}

TEST_CASE("a surer position has a higher score, whichever score it is") {
    std::mt19937 random(5);
    for (int repeat = 0; repeat < 200; ++repeat) {
        const double p = 0.45 + 0.0004 * static_cast<double>(random() % 1000);
        const double surer = p + 0.001 + 0.0001 * static_cast<double>(random() % 900);
        const auto two = [](double best) { return std::vector<double>{best, 0.75 * (1 - best), 0.25 * (1 - best)}; };
        const candidate a = candidate_of(two(p), two(surer), 0);
        const candidate b = candidate_of(two(surer), two(p), 0);
        CAPTURE(p);
        REQUIRE(confidence{}(a) < confidence{}(b));
        REQUIRE(margin{}(a) < margin{}(b));
        REQUIRE(negative_entropy{}(a) < negative_entropy{}(b)); // the field's inverted sign
        REQUIRE(confidence{score_from::shaped}(a) > confidence{score_from::shaped}(b));
        REQUIRE(margin{score_from::shaped}(a) > margin{score_from::shaped}(b));
        REQUIRE(negative_entropy{score_from::shaped}(a) > negative_entropy{score_from::shaped}(b));
    }
}

TEST_CASE("noisy works on plain numbers: p, p1 - p2, -H") {
    candidate one = candidate_of({0.5, 0.3, 0.2}, {0.7, 0.25, 0.05}, 0);
    one.random = -std::expm1(-1.0); // no noise: E is 1, and its Gumbel number 0
    CHECK(noisy{confidence{}, 0.5}(one).value == doctest::Approx(0.5));
    CHECK(noisy{confidence{score_from::shaped}, 3}(one).value == doctest::Approx(0.7));
    CHECK(noisy{margin{}, 0.5}(one).value == doctest::Approx(0.2));
    CHECK(noisy{negative_entropy{}, 0.5}(one).value == doctest::Approx(-entropy_of({0.5, 0.3, 0.2})));
    CHECK(noisy{confidence{}, 0}(one).value == confidence{}(one).value); // no noise: the score itself
    CHECK(noisy{fixed_score{-7}, 0}(one).value == -7);
    one.random = 0x1p-53; // the smallest uniform number
    CHECK(noisy{fixed_score{2}, 1}(one).value == doctest::Approx(2 + 53 * std::log(2.0)));
    one.random = 1 - 0x1p-53;
    CHECK(noisy{fixed_score{2}, 10}(one).value == doctest::Approx(2 - 10 * std::log(53 * std::log(2.0))));
    CHECK(wrong_argument(noisy{confidence{}, -1}) == "noisy.temperature");
    CHECK(wrong_argument(noisy{confidence{}, std::nan("")}) == "noisy.temperature");
    CHECK(wrong_argument(noisy{confidence{}, 0}) == "none");
}

TEST_CASE("noisy with top_k draws without replacement: chi-square") {
    const std::vector<double> confidences{0.9, 0.6, 0.5, 0.1};
    constexpr int draws = 40000;
    for (const double temperature : {0.1, 0.4, 5.0}) {
        CAPTURE(temperature);
        const philox generator{{11, 12}};
        std::map<std::pair<std::size_t, std::size_t>, int> times;
        for (std::uint32_t draw = 0; draw < draws; ++draw) {
            std::vector<std::pair<double, std::size_t>> all;
            for (std::size_t i = 0; i < confidences.size(); ++i) {
                candidate one;
                one.raw_log_probability = std::log(confidences[i]);
                const auto words = generator({draw, static_cast<std::uint32_t>(i), 0, 0});
                one.random = uniform_open(words[0], words[1]);
                all.push_back({-noisy{confidence{}, temperature}(one).value, i});
            }
            std::sort(all.begin(), all.end());
            ++times[{all[0].second, all[1].second}];
        }
        double statistic = 0;
        for (std::size_t i = 0; i < 4; ++i) {
            for (std::size_t j = 0; j < 4; ++j) {
                if (i != j) {
                    const double expected = draws * chance_of_pair(confidences, temperature, i, j);
                    statistic += (times[{i, j}] - expected) * (times[{i, j}] - expected) / expected;
                }
            }
        }
        CAPTURE(statistic);
        CHECK(statistic < 11 + 4 * std::sqrt(22.0));
        CHECK(statistic > 1);
    }
}

TEST_CASE("end_last: after everything else, whatever that is") {
    const end_last policy{confidence{}, 4, 9};
    const auto value = [&](token_t token, double log_probability) {
        candidate one;
        one.token = token;
        one.raw_log_probability = log_probability;
        return policy(one).value;
    };
    CHECK(value(3, -0.5) == -0.5);
    CHECK(value(4, 0) == -infinity);
    CHECK(value(9, 0) == -infinity);
    CHECK(value(3, -infinity) > value(4, 0)); // as margins of equally likely tokens are
    CHECK(std::isnan(value(3, std::nan(""))));
    candidate one;
    one.token = 4;
    CHECK(end_last{noisy{confidence{}, 0.5}, 4}(one).value == -infinity);
    CHECK(wrong_argument(end_last{confidence{}, 4, -1}) == "end_last.ends");
    CHECK(wrong_argument(end_last{noisy{confidence{}, -1}, 4}) == "noisy.temperature");
    CHECK(wrong_argument(policy) == "none");
}

TEST_CASE("end_last in a run: LLaDA's confidence_eos_eot_inf") {
    const vocabulary tokens{.size = 6, .mask = 6, .end = 5};
    const std::vector<token_t> wanted{1, 5, 2, 4, 3, 5};
    const std::vector<double> sureness{0.6, 0.99, 0.7, 0.98, 0.8, 0.97};
    table_logits table;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        table.rows.push_back(row_with(6, wanted[i], sureness[i]));
    }
    auto model = make_model(tokens, table);
    canvas page(tokens);
    page.add({}, 6);
    std::vector<index_t> order;
    sampler{steps{6}, end_last{confidence{}, 5, 4},
            never_stop{}}(cpu_executor{1}, model, page, 1,
                          [&](const sampler_step& step) { order.push_back(step.commitments[0].where.position); });
    CHECK(order == std::vector<index_t>{4, 2, 0, 1, 3, 5});
    CHECK(to_vector(page.tokens()) == wanted);
}

TEST_CASE("end_last looks at the drawn token, at any temperature") {
    // Most likely is one of two end tokens, everywhere; text is drawn once in four times.
    const vocabulary tokens{.size = 6, .mask = 6, .end = 5};
    auto model = make_model(tokens, [](std::span<const token_t>, index_t position, token_t token) {
        return token == 4 + position % 2 ? std::log(3.0F) : token == 2 ? 0.0F : -infinity;
    });
    const sampler policy{steps{12}, end_last{confidence{}, 5, 4}, categorical{.temperature = 1}, never_stop{}};
    index_t ends = 0;
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        canvas page(tokens);
        page.add({}, 12);
        policy(cpu_executor{1}, model, page, seed, [&](const sampler_step& step) {
            const bool is_end = step.commitments[0].token >= 4;
            REQUIRE(is_end == (step.commitments[0].score.value == -infinity));
            ends += is_end ? 1 : 0;
        });
    }
    // With n positions left an end comes next with chance (3/4)^n: 3 (1 - (3/4)^12) = 2.9 of 12 in the mean.
    CHECK(static_cast<double>(ends) / 50 == doctest::Approx(2.9).epsilon(0.2));
}
