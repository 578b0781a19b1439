// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <cmath>
#include <random>

#include <unmask/sampler/row_statistics.hpp>

#include "models.hpp"

using namespace sampler_test;

namespace {

struct plain_statistics {
    token_t best = 0;
    long double second = -INFINITY;
    long double log_sum = 0;
    long double entropy = 0;
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
    return result;
}

void check_row(const std::vector<float>& logits) {
    const plain_statistics expected = plain(logits);
    const row_statistics actual = statistics_of(logits);
    const auto near = [](double a, long double b) {
        return std::abs(static_cast<long double>(a) - b) <= 1e-14L * std::abs(b) + 1e-300L;
    };
    REQUIRE(actual.best == expected.best);
    REQUIRE((actual.second == static_cast<double>(expected.second)));
    REQUIRE(near(actual.log_sum, expected.log_sum));
    REQUIRE(near(actual.entropy, expected.entropy));
}

} // namespace

TEST_CASE("weights are right to the last bits, and 0 for what is far below") {
    double worst = 0;
    for (float x = -707.9F; x <= 0; x += 0.00917F) {
        const detail::weight_batch batch(std::vector<float>{x, 1}, 0, 1);
        REQUIRE(batch.exponent[0] == x);
        worst = std::max(worst, std::abs(batch.weight[0] / std::exp(static_cast<double>(x)) - 1));
    }
    CHECK(worst < 4e-16);
    const detail::weight_batch batch(std::vector<float>{0, -infinity, -708, -3e38F}, 0, 1e300);
    CHECK(batch.weight[0] == 1);
    for (std::size_t i = 1; i < detail::parts; ++i) {
        CHECK(batch.weight[i] == 0);
    }
}

TEST_CASE("row statistics against long double, for all sizes around the unrolled loop") {
    std::mt19937 random(1);
    for (std::size_t size = 1; size <= 70; ++size) {
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

TEST_CASE("the highest and the second, wherever they are; of equals, the lowest token") {
    for (std::size_t first = 0; first < 40; ++first) {
        for (std::size_t other = 0; other < 40; ++other) {
            std::vector<float> logits(40, -1.0F);
            logits[first] = 2;
            logits[other] = other == first ? 2.0F : 1.5F;
            check_row(logits);
            logits[other] = 2;
            const row_statistics tied = statistics_of(logits);
            REQUIRE(tied.best == static_cast<token_t>(std::min(first, other)));
            REQUIRE(tied.second == (first == other ? -3.0 : 0.0));
        }
    }
}

TEST_CASE("probabilities that round to 1 are still told apart") {
    for (double gap = 20; gap < 600; gap += 20) {
        const row_statistics near{statistics_of(std::vector<float>{0, static_cast<float>(gap)})};
        const row_statistics nearer{statistics_of(std::vector<float>{0, static_cast<float>(gap + 1)})};
        REQUIRE(nearer.log_best() > near.log_best());
        REQUIRE(nearer.log_margin() > near.log_margin());
        REQUIRE(nearer.entropy < near.entropy);
        REQUIRE(nearer.entropy > 0);
    }
    const row_statistics certain = statistics_of(std::vector<float>{-infinity, 0, -infinity});
    CHECK(certain.best == 1);
    CHECK(certain.log_best() == 0);
    CHECK(certain.log_margin() == 0);
    CHECK(certain.entropy == 0);
    CHECK(statistics_of(std::vector<float>{3, 3}).log_margin() == -INFINITY);
}

TEST_CASE("NaN, +infinity and nothing but -infinity are noticed, wherever they are") {
    const float not_a_number = std::numeric_limits<float>::quiet_NaN();
    for (std::size_t size = 1; size < 40; ++size) {
        REQUIRE(statistics_of(std::vector<float>(size, -infinity)).best == -1);
        for (std::size_t at = 0; at < size; ++at) {
            for (const float bad : {not_a_number, -not_a_number, infinity}) {
                std::vector<float> logits(size, 1.0F);
                logits[at] = bad;
                REQUIRE(statistics_of(logits).best == -1);
            }
            std::vector<float> logits(size, -infinity);
            logits[at] = -3e38F;
            REQUIRE(statistics_of(logits).best == static_cast<token_t>(at));
        }
    }
}
