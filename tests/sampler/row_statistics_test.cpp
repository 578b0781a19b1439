// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <bit>
#include <cmath>
#include <random>

#include <unmask/sampler/row_statistics.hpp>

#include "models.hpp"
#include "scalar_row.hpp"

using namespace sampler_test;

namespace {

struct plain_statistics {
    token_t best = 0;
    long double second = -INFINITY;
    long double log_sum = 0;
    long double entropy = 0;
    long double mean_distance = 0; // of all but the best, by their weights
};

plain_statistics plain(const std::vector<float>& logits) {
    plain_statistics result;
    for (std::size_t i = 1; i < logits.size(); ++i) {
        result.best = logits[i] > logits[static_cast<std::size_t>(result.best)] ? static_cast<token_t>(i) : result.best;
    }
    const long double highest = logits[static_cast<std::size_t>(result.best)];
    long double others = 0;
    long double moment = 0;
    for (std::size_t i = 0; i < logits.size(); ++i) {
        if (static_cast<token_t>(i) != result.best && logits[i] != -infinity) {
            const long double x = logits[i] - highest;
            result.second = std::max(result.second, x);
            others += std::exp(x);
            moment += std::exp(x) * x;
        }
    }
    result.log_sum = std::log1p(others);
    result.entropy = result.log_sum - moment / (1 + others);
    result.mean_distance = others > 0 ? -moment / others : 0;
    return result;
}

// A weight is wrong by 1.5e-7, and by 1e-7 times its distance: half a unit of a float each in the distance and in what
// it is multiplied with. Up to 15 additions in float make it 1e-6. What is below e^−87 is 0.
void check_row(const std::vector<float>& logits) {
    const plain_statistics expected = plain(logits);
    const row_statistics actual = statistics_of(logits);
    const long double relative = 1e-6L + 1e-7L * expected.mean_distance;
    const auto near = [&](double a, long double b) {
        return std::abs(static_cast<long double>(a) - b) <= 2 * relative * std::abs(b) + 88 * logits.size() * 2e-38L;
    };
    REQUIRE(actual.best == expected.best);
    REQUIRE((actual.second == static_cast<double>(expected.second)));
    REQUIRE(near(actual.log_sum, expected.log_sum));
    REQUIRE(near(actual.entropy, expected.entropy));
}

void require_same(const row_statistics& a, const row_statistics& b) {
    REQUIRE(a.best == b.best);
    REQUIRE(std::bit_cast<std::uint64_t>(a.second) == std::bit_cast<std::uint64_t>(b.second));
    REQUIRE(std::bit_cast<std::uint64_t>(a.log_sum) == std::bit_cast<std::uint64_t>(b.log_sum));
    REQUIRE(std::bit_cast<std::uint64_t>(a.entropy) == std::bit_cast<std::uint64_t>(b.entropy));
}

} // namespace

TEST_CASE("weights: as accurate as they say; the same a register at a time; 0 for what is far below") {
    for (const double temperature : {1.0, 0.1, 0.7, 2.0}) {
        CAPTURE(temperature);
        const detail::weight_rule rule(1 / temperature);
        const double of_step = temperature == 1 ? 1.4e-8 : 6e-8;
        const auto step = static_cast<float>(0.00017 * temperature);
        double worst = 0;
        bool same = true;
        for (float x = rule.farthest; x <= 0;) {
            float distances[detail::lanes];
            for (float& each : distances) {
                each = std::min(x, 0.0F);
                x += step;
            }
            float weights[detail::lanes];
            detail::store(weights, detail::weights_of(detail::load(distances), rule).weight);
            for (int lane = 0; lane < detail::lanes; ++lane) {
                const float weight = detail::weight_of(distances[lane], rule);
                same = same && std::bit_cast<std::uint32_t>(weight) == std::bit_cast<std::uint32_t>(weights[lane]);
                const double exponent = static_cast<double>(distances[lane]) / temperature;
                const double error = std::abs(weight / std::exp(exponent) - 1) + of_step * exponent;
                worst = std::max(worst, std::isnan(error) ? INFINITY : error);
            }
        }
        CHECK(same);
        CHECK(worst < 1.5e-7);
        CHECK(detail::weight_of(0, rule) == 1);
        CHECK(detail::weight_of(rule.farthest, rule) > 0);
        for (const float none : {std::nextafter(rule.farthest, -infinity), -3e38F, -infinity}) {
            CHECK(detail::weight_of(none, rule) == 0);
            const auto lane = detail::weights_of(detail::broadcast(none), rule).weight;
            CHECK(detail::highest_folded(lane) == 0);
        }
    }
    for (const double temperature : {1e-300, 1e-30, 1e30, 1e300}) { // no NaN at the ends
        const detail::weight_rule rule(1 / temperature);
        CHECK(detail::weight_of(0, rule) == 1);
        CHECK(detail::weight_of(-1, rule) == (temperature < 1 ? 0 : 1));
        CHECK(detail::weight_of(-infinity, rule) == 0);
    }
}

TEST_CASE("exponentials and logarithms in double: 3e-16") {
    double worst[3] = {};
    const auto note = [](double& most, double a, long double b) {
        const auto error = static_cast<double>(std::abs(a / b - 1));
        most = std::max(most, std::isnan(error) ? INFINITY : error);
    };
    for (double x = -707.9; x < 0; x += 0.0117) {
        note(worst[0], exact::exp_nonpositive(x), std::exp(static_cast<long double>(x)));
    }
    for (double x = 1e-300; x < 1e300; x *= 1.007) {
        note(worst[1], exact::log_of_1_plus(x), std::log1p(static_cast<long double>(x)));
        if (const long double y = -x; y > -700) {
            note(worst[2], exact::log_of_1_minus_exp(-x),
                 y > -0.7L ? std::log(-std::expm1(y)) : std::log1p(-std::exp(y)));
        }
    }
    for (double x = -0.5; x < 3; x += 1e-4) {
        if (std::abs(x) > 1e-6) {
            note(worst[1], exact::log_of_1_plus(x), std::log1p(static_cast<long double>(x)));
        }
    }
    for (const double each : worst) {
        CHECK(each < 3e-16);
    }
    CHECK(exact::exp_nonpositive(0) == 1);
    CHECK(exact::exp_nonpositive(-708) == 0);
    CHECK(exact::exp_nonpositive(-INFINITY) == 0);
    CHECK(exact::log_of_1_plus(0) == 0);
    CHECK(exact::log_of_1_minus_exp(0) == -INFINITY);
    CHECK(exact::log_of_1_minus_exp(-INFINITY) == 0);
}

TEST_CASE("row statistics against long double, for all sizes up to 70 and around what is read at once") {
    std::mt19937 random(1);
    std::vector<std::size_t> sizes{127, 128, 129, 256, 300, 1023, 1024, 1025, 2047, 2048, 2500, 5000};
    for (std::size_t size = 1; size <= 70; ++size) {
        sizes.push_back(size);
    }
    for (const std::size_t size : sizes) {
        for (const float spread : {0.0F, 1e-3F, 1.0F, 10.0F, 100.0F}) {
            CAPTURE(size);
            CAPTURE(spread);
            std::uniform_real_distribution<float> uniform(-spread, spread);
            std::vector<float> logits(size);
            for (float& logit : logits) {
                logit = random() % 8 == 0 ? -infinity : uniform(random) + 300;
            }
            logits[random() % size] = uniform(random) + 300;
            check_row(logits);
        }
    }
}

TEST_CASE("row statistics bit for bit against one token at a time, of floats and of bfloat16") {
    std::mt19937 random(2);
    for (const std::size_t size : {1U, 2U, 31U, 32U, 100U, 128U, 130U, 1000U, 1024U, 1030U, 3072U, 4100U, 5555U}) {
        for (const float spread : {0.1F, 3.0F, 40.0F}) {
            CAPTURE(size);
            CAPTURE(spread);
            std::normal_distribution<float> normal(-5, spread);
            std::vector<float> logits(size);
            std::vector<bfloat16> halves(size);
            for (std::size_t i = 0; i < size; ++i) {
                halves[i] = bfloat16(random() % 8 == 0 && i > 0 ? -infinity : normal(random));
                logits[i] = halves[i];
            }
            if (size > 2048) { // a chunk with nothing in it
                std::fill(logits.begin() + 1024, logits.begin() + 2048, -infinity);
                std::fill(halves.begin() + 1024, halves.begin() + 2048, bfloat16(-infinity));
            }
            const row_statistics expected = scalar_row::reduce(logits, 1, 0.5).raw;
            require_same(statistics_of(logits), expected);
            require_same(statistics_of(halves), expected);
            for (float& logit : logits) {
                logit = std::nextafter(logit, 0.0F); // no longer a bfloat16
            }
            require_same(statistics_of(logits), scalar_row::reduce(logits, 1, 0.5).raw);
        }
    }
}

// What other instruction sets, compilers and flags must give too.
TEST_CASE("the same bits everywhere") {
    std::uint64_t hash = 0;
    std::uint32_t word = 1;
    for (const std::size_t size : {3U, 32U, 127U, 900U, 1024U, 4000U}) {
        for (const float spread : {0x1p-31F, 0x1p-29F, 0x1p-27F}) {
            std::vector<float> logits(size);
            for (float& logit : logits) {
                word = word * 1664525U + 1013904223U;
                logit = static_cast<float>(static_cast<std::int32_t>(word)) * spread;
            }
            const row_statistics row = statistics_of(logits);
            for (const double each : {row.log_sum, row.entropy, row.log_margin()}) {
                hash = (hash ^ std::bit_cast<std::uint64_t>(each)) * 0x100000001b3U;
            }
        }
    }
    CHECK(hash == 187224044304474734U);
}

TEST_CASE("the highest and the second, wherever they are; of equals, the lowest token") {
    for (const std::size_t stride : {1U, 53U, 211U}) {
        const std::size_t size = 40 * stride;
        for (std::size_t i = 0; i < 40; ++i) {
            for (std::size_t j = 0; j < 40; ++j) {
                const std::size_t first = i * stride;
                const std::size_t other = j * stride;
                std::vector<float> logits(size, -1.0F);
                logits[first] = 2;
                logits[other] = other == first ? 2.0F : 1.5F;
                const row_statistics apart = statistics_of(logits);
                REQUIRE(apart.best == static_cast<token_t>(first));
                REQUIRE(apart.second == (first == other ? -3.0 : -0.5));
                logits[other] = 2;
                const row_statistics tied = statistics_of(logits);
                REQUIRE(tied.best == static_cast<token_t>(std::min(first, other)));
                REQUIRE(tied.second == (first == other ? -3.0 : 0.0));
            }
        }
    }
}

TEST_CASE("probabilities that round to 1 are still told apart") {
    for (float gap = 20; gap < 86; gap += 3) {
        for (const std::size_t far : {1U, 700U, 1500U}) {
            std::vector<float> logits(far + 1, -infinity);
            logits[far] = gap;
            logits[0] = 0;
            const row_statistics near = statistics_of(logits);
            logits[far] = gap + 1;
            const row_statistics nearer = statistics_of(logits);
            REQUIRE(nearer.log_best() > near.log_best());
            REQUIRE(nearer.log_margin() > near.log_margin());
            REQUIRE(nearer.entropy < near.entropy);
            REQUIRE(nearer.entropy > 0);
        }
    }
    const row_statistics certain = statistics_of(std::vector<float>{-infinity, 0, -infinity});
    CHECK(certain.best == 1);
    CHECK(certain.log_best() == 0);
    CHECK(certain.log_margin() == 0);
    CHECK(certain.entropy == 0);
    CHECK(statistics_of(std::vector<float>{3, 3}).log_margin() == -INFINITY);
}

TEST_CASE("finite logits are logits, be they the lowest floats or the highest") {
    constexpr float largest = std::numeric_limits<float>::max();
    std::mt19937 random(5);
    for (const std::size_t size : {1U, 2U, 7U, 16U, 100U, 128U, 129U, 1024U, 1025U, 2048U, 3000U}) {
        CAPTURE(size);
        for (const float level : {-largest, -3.2e38F, -1e38F, 0.0F, 1e38F, largest}) {
            CAPTURE(level);
            std::vector<float> logits(size, level);
            const row_statistics equal = statistics_of(logits); // as if all were 0
            require_same(equal, statistics_of(std::vector<float>(size, 0.0F)));
            check_row(logits);
            std::vector<bfloat16> halves(size, bfloat16(level == largest || level == -largest ? level / 2 : level));
            require_same(statistics_of(halves), equal);
            for (float& logit : logits) { // some of them forbidden, and one neighbouring float above
                logit = random() % 3 == 0 ? -infinity : level;
            }
            logits[random() % size] = std::nextafter(level, 0.0F);
            check_row(logits);
            require_same(statistics_of(logits), scalar_row::reduce(logits, 1, 0.5).raw);
        }
        std::vector<float> both(size, -largest); // further apart than the largest float
        both[random() % size] = largest;
        check_row(both);
        require_same(statistics_of(both), scalar_row::reduce(both, 1, 0.5).raw);
    }
}

TEST_CASE("NaN, +infinity and nothing but -infinity are noticed, wherever they are") {
    const float not_a_number = std::numeric_limits<float>::quiet_NaN();
    const float signalling = std::bit_cast<float>(0xff800001U);
    for (const std::size_t size : {1U, 2U, 15U, 16U, 17U, 33U, 128U, 130U, 1024U, 2100U}) {
        REQUIRE(statistics_of(std::vector<float>(size, -infinity)).best == -1);
        for (std::size_t at = 0; at < size; at += size > 200 ? 37 : 1) {
            for (const float bad : {not_a_number, -not_a_number, signalling, infinity}) {
                for (const float rest : {1.0F, -infinity}) {
                    std::vector<float> logits(size, rest);
                    logits[at] = bad;
                    REQUIRE(statistics_of(logits).best == -1);
                }
            }
            std::vector<float> logits(size, -infinity);
            for (const float lowest : {-3e38F, std::numeric_limits<float>::lowest()}) {
                logits[at] = lowest;
                REQUIRE(statistics_of(logits).best == static_cast<token_t>(at));
                REQUIRE(statistics_of(logits).log_sum == 0);
            }
        }
    }
}
