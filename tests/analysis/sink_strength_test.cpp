// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <cmath>
#include <random>
#include <vector>

#include <doctest/doctest.h>

#include <unmask/analysis/mixing.hpp>
#include <unmask/analysis/sink_strength.hpp>

#include "records.hpp"

using namespace test;

TEST_CASE("sink rate: the share of heads in which a key is a sink") {
    sink_record record = record_of({4, 0, 0, 0, 1, 1, 1, 1});
    record.heads = 2;
    record.length = 4;
    record.seen_by.assign(4, 4);
    record.value_norms.assign(4, 1);
    const std::vector<sink_record> one{record};
    CHECK(sink_rate(one, above_share{0.3}) == 0.5);
    CHECK(sink_rate(one, above_share{0.3}, 0) == 0.5);
    CHECK(sink_rate(one, above_share{0.3}, 1) == 0);
    CHECK(sink_rate(one, above_share{0.2}) == 1);
    CHECK(sink_rate(one, above_share{0.2}, 0) == 1);
    CHECK(sink_rate(one, above_share{0.2}, 3) == 0.5);
    CHECK(sink_rate(one, above_share{0.2}, 4) == 0); // there is no such key
    const std::vector<sink_record> two{record, record_of({1, 1, 1, 1})};
    CHECK(sink_rate(two, above_share{0.3}) == doctest::Approx(1.0 / 3)); // of three heads in all
    CHECK(std::isnan(sink_rate({}, above_share{})));
}

TEST_CASE("mass of the strongest keys, and of extra sinks") {
    const sink_record record = record_of({1, 4, 2, 3}, 1);
    CHECK(top_mass(record, 0, 0, 1) == doctest::Approx(0.4));
    CHECK(top_mass(record, 0, 0, 2) == doctest::Approx(0.7));
    CHECK(top_mass(record, 0, 0, 9) == doctest::Approx(1));
    CHECK(top_mass(record, 0, 0, 0) == 0);
    CHECK(extra_mass(record, 0, 0) == doctest::Approx(0.3));
    CHECK(extra_mass(record_of({1, 2}), 0, 0) == 0);
    CHECK(std::isnan(extra_mass(record_of({0, 0}, 1), 0, 0)));

    const std::vector<sink_record> steps{record, record_of({1, 1, 1, 1, 1, 5}, 1)};
    const over_steps mass = extra_mass_of(steps, 0, 0);
    CHECK(mass.mean == doctest::Approx(0.4));
    CHECK(mass.deviation == doctest::Approx(0.1));
    CHECK(std::isnan(extra_mass_of({}, 0, 0).mean));
}

TEST_CASE("value norms of sinks over the median of the others") {
    sink_record record = record_of({1, 1, 9, 1, 1, 1}, 1);
    record.value_norms = {4, 2, 1, 6, 8, 0.5F};
    const above_others sum{3, attention_unit::sum};
    const std::vector<sink_record> one{record};
    // Of 4, 2, 6, 8 the median is 5; the extra sink is no sink here and no position.
    CHECK(value_norm_ratio_of(one, 0, 0, sum) == doctest::Approx(0.2));
    CHECK(value_norm_ratio_of(one, 0, sum) == doctest::Approx(0.2));
    CHECK(value_norm_ratio_of(one, 0, 0, highest{2}) == doctest::Approx(2.5 / 6)); // of 4 and 1, over that of 2, 6, 8
    CHECK(extra_norm_ratio_of(one, 0, 0) == doctest::Approx(0.5 / 4));             // of all positions
    CHECK(std::isnan(value_norm_ratio_of(one, 0, 0, above_share{5})));
    CHECK(std::isnan(extra_norm_ratio_of(std::vector{record_of({1, 2})}, 0, 0)));

    sink_record other = record;
    other.received = {1, 1, 1, 1, 1, 9};
    const std::vector<sink_record> steps{record, other, record_of({1, 1, 1})};
    CHECK(value_norm_ratio_of(steps, 0, 0, sum) == doctest::Approx((0.2 + 0.125) / 2));       // the third has no sink
    CHECK(std::isnan(value_norm_ratio_of(std::vector{record_of({9, 9})}, 0, 0, highest{2}))); // there are no others
}

TEST_CASE("a layer's norms are means over its heads, also where heads share them") {
    sink_record record{.layers = 1, .heads = 4, .kv_heads = 2, .length = 3, .sinks = 0};
    record.received = {9, 0, 0, 9, 0, 0, 9, 0, 0, 9, 0, 0};
    record.seen_by.assign(3, 3);
    record.value_norms = {1, 2, 4, 3, 6, 8};
    CHECK(value_norm_ratio_of(std::vector{record}, 0, 0, above_others{}) == doctest::Approx(1.0 / 3));
    CHECK(value_norm_ratio_of(std::vector{record}, 0, 3, above_others{}) == doctest::Approx(3.0 / 7));
    CHECK(value_norm_ratio_of(std::vector{record}, 0, above_others{}) == doctest::Approx(2.0 / 5));
}

TEST_CASE("mean pairwise cosine, against all pairs") {
    const auto cosine = [](const std::vector<float>& numbers, index_t rows) {
        return mean_pairwise_cosine(view(numbers.data(), rows, std::ssize(numbers) / rows));
    };
    CHECK(cosine({1, 0, 2, 0, 5, 0}, 3) == doctest::Approx(1));
    CHECK(cosine({1, 0, 0, 1}, 2) == doctest::Approx(0));
    CHECK(cosine({1, 0, -3, 0}, 2) == doctest::Approx(-1));
    CHECK(cosine({1, 0, 0, 1, 1, 1}, 3) == doctest::Approx(2 * std::sqrt(0.5) / 3));
    CHECK(cosine({1, 0, 1, 0, 0, 0}, 3) == doctest::Approx(1.0 / 3)); // zeros are at a right angle to all
    CHECK(std::isnan(cosine({1, 2}, 1)));
    CHECK(std::isnan(cosine({1, 0, std::nanf(""), 0, 1, 0}, 3)));
    CHECK(std::isnan(mean_pairwise_cosine({nullptr, {0, 4}, {4, 1}})));

    std::mt19937 random(3);
    std::normal_distribution<float> normal;
    for (const index_t rows : {2, 7, 40}) {
        constexpr index_t width = 33;
        constexpr index_t stride = 40;
        std::vector<float> numbers(static_cast<std::size_t>(rows * stride));
        for (float& each : numbers) {
            each = normal(random) + 0.3F;
        }
        double sum = 0;
        for (index_t i = 0; i < rows; ++i) {
            for (index_t j = 0; j < rows; ++j) {
                double products[3]{};
                for (index_t k = 0; k < width; ++k) {
                    const double a = static_cast<double>(numbers[static_cast<std::size_t>(i * stride + k)]);
                    const double b = static_cast<double>(numbers[static_cast<std::size_t>(j * stride + k)]);
                    products[0] += a * b;
                    products[1] += a * a;
                    products[2] += b * b;
                }
                sum += i == j ? 0 : products[0] / std::sqrt(products[1] * products[2]);
            }
        }
        const tensor_view<const float, 2> strided{numbers.data(), {rows, width}, {stride, 1}};
        CHECK(mean_pairwise_cosine(strided) == doctest::Approx(sum / static_cast<double>(rows * (rows - 1))));
    }
}
