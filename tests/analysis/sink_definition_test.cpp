// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <unmask/analysis/sink_definition.hpp>
#include <unmask/analysis/sink_movement.hpp>
#include <unmask/analysis/sink_strength.hpp>

#include "records.hpp"

using namespace test;

namespace {

template <class Definition>
std::string marked(const Definition& definition, const std::vector<double>& received) {
    std::vector<std::uint8_t> is_sink(received.size());
    definition(received, is_sink);
    std::string text;
    for (const std::uint8_t each : is_sink) {
        text += each != 0 ? 'x' : '.';
    }
    return text;
}

// A definition of a user's own.
struct last_key {
    attention_unit unit = attention_unit::mean;
    void operator()(std::span<const double> received, std::span<std::uint8_t> is_sink) const {
        is_sink[received.size() - 1] = 1;
    }
};
static_assert(sink_definition<last_key>);
static_assert(sink_definition<above_share> && sink_definition<above_others> && sink_definition<above_deviations> &&
              sink_definition<above_robust_z_score> && sink_definition<highest>);
struct no_unit {
    void operator()(std::span<const double>, std::span<std::uint8_t>) const {}
};
static_assert(!sink_definition<no_unit>);
static_assert(sink_definition<null_sink> && detail::reads_value_norms<null_sink> &&
              !detail::reads_value_norms<above_share>);

} // namespace

TEST_CASE("units") {
    sink_record record = record_of({4, 2, 0, 2});
    record.seen_by = {4, 2, 0, 1};
    CHECK(received_in(record, 0, 0, attention_unit::sum) == std::vector<double>{4, 2, 0, 2});
    CHECK(received_in(record, 0, 0, attention_unit::mean) == std::vector<double>{1, 1, 0, 2});
    CHECK(received_in(record, 0, 0, attention_unit::percent) == std::vector<double>{100, 100, 0, 200});

    record.heads = 2;
    record.received = {4, 2, 0, 2, 0, 4, 0, 1};
    CHECK(received_in(record, 0, 1, attention_unit::mean) == std::vector<double>{0, 2, 0, 1});
    CHECK(received_in(record, 0, attention_unit::mean) == std::vector<double>{0.5, 1.5, 0, 1.5});
    CHECK(sinks_of(record, 0, 1, last_key{}) == std::vector<std::uint8_t>{0, 0, 0, 1});
}

TEST_CASE("a record's layers, and heads that share keys and values") {
    sink_record record{.layers = 2, .heads = 4, .kv_heads = 2, .length = 1, .sinks = 1};
    for (int i = 0; i < 16; ++i) {
        record.received.push_back(static_cast<float>(i));
    }
    record.seen_by = {1, 2, 3, 4};
    record.value_norms = {0, 1, 2, 3, 4, 5, 6, 7};
    CHECK(record.received_of(1, 2)[1] == 13);
    CHECK(record.seen_by_of(1)[0] == 3);
    CHECK(record.value_norms_of(0, 1)[0] == 0);
    CHECK(record.value_norms_of(0, 2)[0] == 2);
    CHECK(record.value_norms_of(1, 3)[1] == 7);
}

TEST_CASE("a record says what is wrong with it") {
    sink_record record = record_of({4, 2, 0, 2});
    const auto complaint = [](const auto& misuse) -> std::string {
        try {
            static_cast<void>(misuse());
        } catch (const invalid_argument& error) {
            return error.what();
        }
        return "";
    };
    const auto received = [&](index_t layer, index_t head) {
        return complaint([&] { return received_in(record, layer, head, attention_unit::mean); });
    };
    const auto norms = [&](index_t head) { return complaint([&] { return record.value_norms_of(0, head); }); };
    CHECK(received(0, 0).empty());
    CHECK(received(1, 0) == "sink_record::received_of: layer is 1, expected between 0 and 0");
    CHECK(received(-1, 0) == "sink_record::received_of: layer is -1, expected between 0 and 0");
    CHECK(received(0, 1) == "sink_record::received_of: head is 1, expected between 0 and 0");
    CHECK(received(0, -1) == "sink_record::received_of: head is -1, expected between 0 and 0");
    CHECK(norms(0).empty());
    CHECK(norms(1) == "sink_record::value_norms_of: head is 1, expected between 0 and 0");
    record.seen_by.pop_back();
    CHECK(received(0, 0) == "sink_record::seen_by_of: seen_by.size() is 3, expected 4");
    record.received.push_back(0);
    CHECK(received(0, 0) == "sink_record::received_of: received.size() is 5, expected 4");
    record.kv_heads = 0;
    CHECK(norms(0) == "sink_record::value_norms_of: kv_heads is 0, expected a divisor of heads, 1");
}

TEST_CASE("NaN is no sink, and no median is made up for it") {
    const double nan = std::nan("");
    CHECK(marked(above_share{}, {nan, 0.5, nan}) == ".x.");
    CHECK(marked(above_others{}, {nan, 9, 0}) == "...");
    CHECK(marked(above_deviations{0}, {nan, 9, 0}) == "...");
    CHECK(marked(above_robust_z_score{}, {nan, 2, 3, 2, 1, 2, 9}) == ".......");
    CHECK(marked(highest{1}, {nan, 1, 2, nan}) == "..x.");
    CHECK(marked(highest{3}, {nan, 1, 2, nan}) == "xxx.");
}

TEST_CASE("definitions on numbers worked out by hand") {
    CHECK(marked(above_share{}, {0.3, 0.31, 0.29}) == ".x.");
    CHECK(marked(above_share{0.8}, {0.3, 0.81}) == ".x");

    // The mean of the others is 1: the threshold is 4, and it is not reached by 4 itself.
    CHECK(marked(above_others{}, {1, 1, 4, 1}) == "....");
    CHECK(marked(above_others{}, {1, 1, 4.01, 1}) == "..x.");
    CHECK(marked(above_others{1}, {2, 0}) == "x.");
    CHECK(marked(above_others{0}, {5}) == "."); // there are no others

    // Mean 2, deviation √3.
    CHECK(marked(above_deviations{1.7}, {1, 1, 5, 1}) == "..x.");
    CHECK(marked(above_deviations{1.75}, {1, 1, 5, 1}) == "....");

    // Median 2, absolute deviations 1, 0, 0, 1, 8: their median is 1.
    CHECK(marked(above_robust_z_score{3}, {1, 2, 2, 3, 10}) == "....x");
    CHECK(marked(above_robust_z_score{5.4}, {1, 2, 2, 3, 10}) == ".....");
    CHECK(marked(above_robust_z_score{5.39}, {1, 2, 2, 3, 10}) == "....x");
    CHECK(marked(above_robust_z_score{1}, {1, 3, 5, 7.5}) == "...x"); // medians between two: 4, 2

    CHECK(marked(highest{1}, {1, 3, 3, 2}) == ".x.."); // the lower position
    CHECK(marked(highest{2}, {1, 3, 3, 2}) == ".xx.");
    CHECK(marked(highest{3}, {2, 3, 3, 2}) == "xxx.");
    CHECK(marked(highest{9}, {1, 2}) == "xx");
    CHECK(marked(highest{0}, {1, 2}) == "..");

    for (const std::vector<double>& nothing : {std::vector<double>{}}) {
        CHECK(marked(above_share{}, nothing).empty());
        CHECK(marked(above_others{}, nothing).empty());
        CHECK(marked(above_deviations{}, nothing).empty());
        CHECK(marked(above_robust_z_score{}, nothing).empty());
        CHECK(marked(highest{}, nothing).empty());
    }
}

TEST_CASE("epsilon 3 over the others' mean can't be a mean of probabilities") {
    std::mt19937 random(1);
    std::uniform_real_distribution<double> weight(0, 1);
    constexpr index_t length = 12;
    int by_sum = 0;
    int by_percent = 0;
    for (int i = 0; i < 500; ++i) {
        // Rows of a softmax, most of which may go to one key.
        std::vector<float> received(length, 0.0F);
        const double sink = weight(random) * weight(random);
        for (index_t query = 0; query < length; ++query) {
            std::vector<double> row(length);
            double all = 0;
            for (double& each : row) {
                all += each = weight(random);
            }
            for (std::size_t key = 0; key < row.size(); ++key) {
                received[key] += static_cast<float>((1 - sink) * row[key] / all + (key == 3 ? sink : 0));
            }
        }
        const sink_record record = record_of(received);
        const auto any = [&](attention_unit unit) {
            const auto is_sink = sinks_of(record, 0, 0, above_others{3, unit});
            return std::count(is_sink.begin(), is_sink.end(), 1) > 0;
        };
        CHECK_FALSE(any(attention_unit::mean));
        by_sum += any(attention_unit::sum) ? 1 : 0;
        by_percent += any(attention_unit::percent) ? 1 : 0;

        // The column sum's threshold is about 4 times even attention: with Σ c = L, c > (L − c) / (L − 1) + 3.
        const double threshold = (length + 3.0 * (length - 1)) / length;
        CHECK(any(attention_unit::sum) == (*std::max_element(received.begin(), received.end()) > threshold));
    }
    CHECK(by_sum > 50);
    CHECK(by_percent > by_sum);
}

TEST_CASE("no z-score among n keys is above the root of n - 1") {
    for (std::size_t keys = 2; keys < 30; ++keys) {
        std::vector<double> received(keys, 0.0);
        received[0] = 1;
        const double highest_score = std::sqrt(static_cast<double>(keys) - 1);
        CHECK(marked(above_deviations{highest_score * 0.999}, received)[0] == 'x');
        CHECK(marked(above_deviations{highest_score * 1.001}, received)[0] == '.');
        CHECK(marked(above_robust_z_score{1000}, received)[0] == (keys > 2 ? 'x' : '.'));
    }
}

TEST_CASE("a sink drains if its value is small beside the others'") {
    sink_record record = record_of({8, 0, 1, 1}); // of 4 queries: 2, 0, 0.25, 0.25
    const auto found = [&](double share, double ratio) { return sinks_of(record, 0, 0, null_sink{share, ratio})[0]; };
    record.value_norms = {0.125F, 9, 1, 0.5F}; // the median of the others is 1
    CHECK(sinks_of(record, 0, 0, null_sink{}) == std::vector<std::uint8_t>{1, 0, 0, 0});
    CHECK(found(1.99, 0.2) == 1);
    CHECK(found(2.0, 0.2) == 0); // above, not at
    CHECK(found(0.3, 0.125) == 0);
    CHECK(found(0.3, 0.126) == 1);
    record.value_norms[0] = 1; // it broadcasts
    CHECK(found(0.3, 0.2) == 0);
    CHECK(found(0.3, 1.01) == 1);
    record.value_norms = {0, 0, 0, 0}; // small beside nothing
    CHECK(found(0.3, 0.2) == 0);
    record.value_norms = {0.1F, std::nanf(""), 1, 1};
    CHECK(found(0.3, 0.2) == 0);
    CHECK(sinks_of(record_of({1}), 0, 0, null_sink{}) == std::vector<std::uint8_t>{0}); // no others
    CHECK(sinks_of(record_of({}), 0, 0, null_sink{}).empty());

    // Two heads with values of their own, and the mean of them; then two steps.
    record = record_of({4, 0, 0, 0});
    record.heads = record.kv_heads = 2;
    record.received = {4, 0, 0, 0, 2, 2, 0, 0};
    record.value_norms = {0.1F, 1, 1, 1, 0.1F, 2, 2, 2};
    CHECK(sinks_of(record, 0, 1, null_sink{}) == std::vector<std::uint8_t>{1, 0, 0, 0});
    CHECK(sinks_of(record, 0, null_sink{.share = 0.7}) == std::vector<std::uint8_t>{1, 0, 0, 0}); // 0.1 of 1.5
    record.value_norms[4] = 0.6F;
    CHECK(sinks_of(record, 0, null_sink{.share = 0.7}) == std::vector<std::uint8_t>{0, 0, 0, 0}); // 0.35 of 1.5
    CHECK(sink_rate(std::vector{record}, null_sink{}) == 0.5);
    const std::vector<sink_record> steps = {record, record};
    CHECK(movement_of(steps, 0, 0, null_sink{}).gated == 2);
    CHECK(movement_of(steps, 0, 1, null_sink{}).gated == 0);
    CHECK(movement_of(steps, 0, null_sink{.value_ratio = 0.3}).gated == 2);
    CHECK(std::abs(value_norm_ratio_of(steps, 0, 0, null_sink{}) - 0.1) < 1e-6);
}

TEST_CASE("definitions say what they are") {
    CHECK(null_sink{}.description() ==
          "Sinks that drain: mean received attention above 0.3, and a value norm below 0.2 "
          "times the median of the other keys (arXiv 2606.08105).");
    CHECK(above_share{0.3}.description() == "Sinks: mean received attention above 0.3 (Gu et al., arXiv 2410.10781).");
    CHECK(above_share{1e-7}.description().find("above 1e-07 (") != std::string::npos); // not 0
    CHECK(above_share{0.1 + 0.2}.description().find("above 0.3 (") != std::string::npos);
    CHECK(above_others{}.description().find("(column sum) more than 3 above") != std::string::npos);
    CHECK(above_others{3, attention_unit::percent}.description().find("(percent)") != std::string::npos);
    CHECK(above_deviations{2.5}.description().find("mean + 2.5 standard") != std::string::npos);
    CHECK(above_robust_z_score{10}.description().find("more than 10 robust") != std::string::npos);
    CHECK(highest{4}.description() == "Sinks: the 4 keys that receive most.");
}
