// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <vector>

#include <doctest/doctest.h>

#include <unmask/analysis/sink_movement.hpp>

#include "records.hpp"

using namespace test;

namespace {

const above_others sum_of_3{3, attention_unit::sum};

// The definitions of sink_movement once more, one at a time and without haste.
template <class Definition>
sink_movement expected(const std::vector<sink_record>& steps, index_t layer, index_t head,
                       const Definition& definition) {
    struct step {
        index_t strongest = 0;
        std::map<index_t, double> sinks; // position and mass
        double received = 0;
    };
    std::vector<std::optional<step>> gated;
    std::vector<double> total;
    for (const sink_record& record : steps) {
        const auto received = received_in(record, layer, head, definition.unit);
        const auto is_sink = sinks_of(record, layer, head, definition);
        const auto position = [&](index_t key) { return key < record.length ? key : -(key - record.length) - 1; };
        index_t top = 0;
        step now;
        total.resize(received.size());
        for (index_t key = 0; key < record.keys(); ++key) {
            const auto i = static_cast<std::size_t>(key);
            total[i] += received[i];
            top = received[i] > received[static_cast<std::size_t>(top)] ? key : top;
            if (is_sink[i] != 0) {
                now.sinks[position(key)] = received[i];
            }
        }
        now.strongest = position(top);
        now.received = received[static_cast<std::size_t>(top)];
        gated.push_back(is_sink[static_cast<std::size_t>(top)] != 0 ? std::optional(now) : std::nullopt);
    }
    sink_movement result{.steps = std::ssize(steps)};
    std::set<index_t> strongest;
    double changes = 0;
    double overlap = 0;
    double strength = 0;
    double runs = 0;
    std::vector<double> centroids;
    for (std::size_t i = 0; i < gated.size(); ++i) {
        if (!gated[i]) {
            continue;
        }
        ++result.gated;
        strongest.insert(gated[i]->strongest);
        strength += gated[i]->received;
        double mass = 0;
        double moment = 0;
        for (const auto& [position, received] : gated[i]->sinks) {
            mass += received;
            moment += received * static_cast<double>(position);
        }
        centroids.push_back(moment / mass);
        if (i == 0 || !gated[i - 1] || gated[i - 1]->strongest != gated[i]->strongest) {
            runs += 1;
        }
        if (i > 0 && gated[i - 1]) {
            ++result.pairs;
            changes += gated[i - 1]->strongest != gated[i]->strongest ? 1 : 0;
            std::set<index_t> either;
            double both = 0;
            for (const auto& [position, received] : gated[i]->sinks) {
                both += gated[i - 1]->sinks.count(position) > 0 ? 1 : 0;
                either.insert(position);
            }
            for (const auto& [position, received] : gated[i - 1]->sinks) {
                either.insert(position);
            }
            overlap += both / static_cast<double>(either.size());
        }
    }
    result.distinct = std::ssize(strongest);
    result.strength = strength / static_cast<double>(result.gated);
    result.change_rate = changes / static_cast<double>(result.pairs);
    result.overlap = overlap / static_cast<double>(result.pairs);
    result.residence = static_cast<double>(result.gated) / runs;
    result.centroid = 0;
    for (const double each : centroids) {
        result.centroid += each / static_cast<double>(centroids.size());
    }
    result.centroid = centroids.empty() ? NAN : result.centroid;
    for (const double each : centroids) {
        result.centroid_variance += std::pow(each - result.centroid, 2) / static_cast<double>(centroids.size());
    }
    result.centroid_variance = centroids.empty() ? NAN : result.centroid_variance;
    double mean = 0;
    for (const double each : total) {
        mean += each / static_cast<double>(steps.size() * total.size());
    }
    for (const double each : total) {
        result.spatial_variance +=
            std::pow(each / static_cast<double>(steps.size()) - mean, 2) / static_cast<double>(total.size());
    }
    return result;
}

void check_same(const sink_movement& a, const sink_movement& b) {
    const auto same = [](double x, double y) { return (std::isnan(x) && std::isnan(y)) || x == doctest::Approx(y); };
    CHECK(a.steps == b.steps);
    CHECK(a.gated == b.gated);
    CHECK(a.pairs == b.pairs);
    CHECK(a.distinct == b.distinct);
    CHECK(same(a.strength, b.strength));
    CHECK(same(a.change_rate, b.change_rate));
    CHECK(same(a.residence, b.residence));
    CHECK(same(a.overlap, b.overlap));
    CHECK(same(a.centroid, b.centroid));
    CHECK(same(a.centroid_variance, b.centroid_variance));
    CHECK(same(a.spatial_variance, b.spatial_variance));
}

} // namespace

TEST_CASE("a sink that stays, one that moves, and one that comes and goes") {
    const auto stays = movement_of(steps_with_strongest({2, 2, 2, 2}, 6), 0, 0, sum_of_3);
    CHECK(stays.gated == 4);
    CHECK(stays.change_rate == 0);
    CHECK(stays.residence == 4);
    CHECK(stays.overlap == 1);
    CHECK(stays.distinct == 1);
    CHECK(stays.centroid == 2);
    CHECK(stays.centroid_variance == 0);
    CHECK(stays.strength == 10);

    const auto moves = movement_of(steps_with_strongest({0, 0, 1, 5}, 6), 0, 0, sum_of_3);
    CHECK(moves.change_rate == doctest::Approx(2.0 / 3));
    CHECK(moves.residence == doctest::Approx(4.0 / 3));
    CHECK(moves.overlap == doctest::Approx(1.0 / 3));
    CHECK(moves.distinct == 3);
    CHECK(moves.centroid == 1.5);
    CHECK(moves.centroid_variance == doctest::Approx((2 * 2.25 + 0.25 + 12.25) / 4));

    auto gap = steps_with_strongest({4, 4, 1, 1}, 6);
    gap[1].received.assign(6, 1.0F); // even: no sink
    const auto gapped = movement_of(gap, 0, 0, sum_of_3);
    CHECK(gapped.gated == 3);
    CHECK(gapped.pairs == 1);
    CHECK(gapped.change_rate == 0);
    CHECK(gapped.residence == 1.5);
}

TEST_CASE("nothing to measure is NaN") {
    const auto even = movement_of(std::vector(3, record_of({1, 1, 1, 1, 1})), 0, 0, sum_of_3);
    CHECK(even.steps == 3);
    CHECK(even.gated == 0);
    CHECK(even.pairs == 0);
    CHECK(even.distinct == 0);
    for (const double each :
         {even.strength, even.change_rate, even.residence, even.overlap, even.centroid, even.centroid_variance}) {
        CHECK(std::isnan(each));
    }
    CHECK(even.spatial_variance == 0);

    const auto one = movement_of(steps_with_strongest({3}, 6), 0, 0, sum_of_3);
    CHECK(std::isnan(one.change_rate));
    CHECK(one.residence == 1);
    CHECK(one.centroid_variance == 0);

    const auto none = movement_of({}, 0, 0, sum_of_3);
    CHECK(none.steps == 0);
    CHECK(std::isnan(none.spatial_variance));
}

TEST_CASE("extra sinks stand in front of the text, and are the same keys when the text grows") {
    auto steps = steps_with_strongest({4, 5, 5}, 6, 2); // a text of 4, sinks at −1 and −2
    const auto movement = movement_of(steps, 0, 0, sum_of_3);
    CHECK(movement.change_rate == 0.5);
    CHECK(movement.centroid == doctest::Approx(-5.0 / 3));

    std::vector<sink_record> growing;
    for (const std::size_t keys : {6U, 8U, 10U}) {
        growing.push_back(steps_with_strongest({keys - 1}, keys, 1).front());
    }
    CHECK(movement_of(growing, 0, 0, sum_of_3).change_rate == 0);
    CHECK(movement_of(growing, 0, 0, sum_of_3).centroid == -1);
    // 10 for the sink and 1 for each of the 5 positions that all steps have.
    CHECK(movement_of(growing, 0, 0, sum_of_3).spatial_variance == doctest::Approx(81.0 * 5 / 36));
    std::reverse(growing.begin(), growing.end()); // a text that gets shorter
    CHECK(movement_of(growing, 0, 0, sum_of_3).spatial_variance == doctest::Approx(81.0 * 5 / 36));
}

TEST_CASE("a step whose numbers are NaN has no sink") {
    auto steps = steps_with_strongest({2, 2, 2}, 6);
    steps[1].received.assign(6, std::nanf(""));
    const auto movement = movement_of(steps, 0, 0, sum_of_3);
    CHECK(movement.steps == 3);
    CHECK(movement.gated == 2);
    CHECK(movement.pairs == 0);
    CHECK(std::isnan(movement.change_rate));
    CHECK(movement.strength == 10);
    CHECK(std::isnan(movement.spatial_variance)); // which is over all steps
}

TEST_CASE("under a causal mask a mean is over the queries that see the key") {
    // Even attention: query i gives 1 / (i + 1) to each key that it sees.
    constexpr std::size_t length = 8;
    std::vector<float> received(length, 0.0F);
    for (std::size_t query = 0; query < length; ++query) {
        for (std::size_t key = 0; key <= query; ++key) {
            received[key] += 1 / static_cast<float>(query + 1);
        }
    }
    sink_record record = record_of(received);
    for (std::size_t key = 0; key < length; ++key) {
        record.seen_by[key] = static_cast<index_t>(length - key);
    }
    const std::vector<double> mean = received_in(record, 0, 0, attention_unit::mean);
    CHECK(mean[0] == doctest::Approx((1 + 1 / 2.0 + 1 / 3.0 + 1 / 4.0 + 1 / 5.0 + 1 / 6.0 + 1 / 7.0 + 1 / 8.0) / 8));
    CHECK(mean[7] == doctest::Approx(1.0 / 8));
    const std::vector<sink_record> steps{record};
    CHECK(movement_of(steps, 0, 0, above_share{0.3}).gated == 1); // 0.34, though attention is even
    CHECK(movement_of(steps, 0, 0, above_share{0.35}).gated == 0);
}

TEST_CASE("the first of equals is the strongest") {
    const std::vector<sink_record> steps{record_of({0, 9, 9, 0, 0, 0}), record_of({0, 0, 9, 9, 0, 0})};
    const auto movement = movement_of(steps, 0, 0, sum_of_3);
    CHECK(movement.distinct == 2);
    CHECK(movement.centroid == 2); // of 1.5 and 2.5
    CHECK(movement.overlap == doctest::Approx(1.0 / 3));
}

TEST_CASE("random records, against the definitions") {
    std::mt19937 random(20261125);
    INFO("seed 20261125");
    index_t gated = 0;
    for (int i = 0; i < 300; ++i) {
        const auto steps = random_steps(random, 1 + static_cast<index_t>(random() % 8));
        for (index_t layer = 0; layer < steps[0].layers; ++layer) {
            for (index_t head = 0; head < steps[0].heads; ++head) {
                check_same(movement_of(steps, layer, head, sum_of_3), expected(steps, layer, head, sum_of_3));
                check_same(movement_of(steps, layer, head, highest{2}), expected(steps, layer, head, highest{2}));
                gated += movement_of(steps, layer, head, sum_of_3).gated;
            }
        }
        // One head: the mean over heads is the head.
        if (steps[0].heads == 1) {
            check_same(movement_of(steps, 0, sum_of_3), movement_of(steps, 0, 0, sum_of_3));
        }
    }
    CHECK(gated > 300);
}

TEST_CASE("shuffled steps are the same steps, and their order no longer says anything") {
    std::vector<std::size_t> strongest;
    for (std::size_t i = 0; i < 60; ++i) {
        strongest.push_back(i / 20); // moves twice
    }
    const auto steps = steps_with_strongest(strongest, 8);
    const auto mixed = shuffled(steps, 7);
    std::set<index_t> calls;
    for (const sink_record& each : mixed) {
        calls.insert(each.call);
    }
    CHECK(calls.size() == 60);
    CHECK(movement_of(steps, 0, 0, sum_of_3).change_rate == doctest::Approx(2.0 / 59));
    CHECK(movement_of(mixed, 0, 0, sum_of_3).change_rate == doctest::Approx(2.0 / 3).epsilon(0.25));
    CHECK(shuffled(steps, 7)[0].call == mixed[0].call);

    // Every order is as likely as any other: 100 times each of 6, with a deviation of 9.
    std::map<std::array<index_t, 3>, int> orders;
    for (std::uint64_t seed = 0; seed < 600; ++seed) {
        const auto three = shuffled(std::span(steps).first(3), seed);
        ++orders[{three[0].call, three[1].call, three[2].call}];
    }
    CHECK(orders.size() == 6);
    for (const auto& [order, times] : orders) {
        CHECK(std::abs(times - 100) < 40);
    }
}
