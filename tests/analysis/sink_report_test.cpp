// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <unmask/analysis/report/csv.hpp>
#include <unmask/analysis/report/html.hpp>
#include <unmask/analysis/report/json.hpp>
#include <unmask/analysis/report/metrics.hpp>
#include <unmask/analysis/report/svg.hpp>
#include <unmask/analysis/sink_definition.hpp>
#include <unmask/analysis/sink_movement.hpp>
#include <unmask/analysis/sink_strength.hpp>
#include <unmask/error.hpp>

#include "sink_report_runs.hpp"

using namespace sink_report_test;
using nlohmann::json;

namespace {

template <class... More>
json json_of(const std::vector<sink_run>& runs, const More&... more) {
    std::ostringstream out;
    write_sink_json(out, runs, more...);
    return json::parse(out.str());
}
std::string csv_of(const std::vector<sink_run>& runs) {
    std::ostringstream out;
    write_sink_csv(out, runs);
    return out.str();
}
struct odd_ones { // a definition of a user's own
    static constexpr auto unit = attention_unit::sum;
    void operator()(std::span<const double> received, std::span<std::uint8_t> is_sink) const {
        for (std::size_t i = 1; i < received.size(); i += 2) {
            is_sink[i] = 1;
        }
    }
};

} // namespace

TEST_CASE("JSON holds every number as it was, in a stable order") {
    sink_run run = random_run("front", {2, 4, 2, 5, 1}, 2, 3, 1);
    std::reverse(run.records.begin(), run.records.end());
    run.records[0].received[3] = static_cast<float>(no_number);
    run.records[1].similarity = {0.1, -0.2, no_number};
    const json all = json_of({run, random_run("no \"sink\"", {1, 1, 1, 3, 0}, 1, 1, 2)}, above_share{0.25});
    CHECK(all["format"] == "unmask.sinks");
    CHECK(all["version"] == 1);
    CHECK(all["definition"].get<std::string>().find("0.25") != std::string::npos);
    REQUIRE(all["runs"].size() == 2);
    CHECK(all["runs"][1]["name"] == "no \"sink\"");
    const json& first = all["runs"][0];
    CHECK(first["layers"] == 2);
    CHECK(first["heads"] == 4);
    CHECK(first["kv_heads"] == 2);
    CHECK(first["sinks"] == 1);
    REQUIRE(first["records"].size() == 6);
    index_t wrong = 0;
    for (std::size_t i = 0; i < 6; ++i) {
        const json& one = first["records"][i];
        const sink_record& record = run.records[5 - (i % 3 * 2 + i / 3)]; // by sequence, then call
        CHECK(one["sequence"] == record.sequence);
        CHECK(one["call"] == record.call);
        CHECK(one["length"] == 5);
        for (std::size_t j = 0; j < record.received.size(); ++j) {
            const bool same = std::isnan(record.received[j]) ? one["received"][j].is_null()
                                                             : one["received"][j].get<float>() == record.received[j];
            wrong += same ? 0 : 1;
        }
        CHECK(one["received"].size() == record.received.size());
        CHECK(one["value_norms"].get<std::vector<float>>() == record.value_norms);
        CHECK(one["seen_by"].get<std::vector<index_t>>() == record.seen_by);
        CHECK(one["masked"].get<std::vector<std::uint8_t>>() == record.masked);
        CHECK(one["tokens"].get<std::vector<token_t>>() == record.tokens);
        CHECK(one["similarity"].size() == record.similarity.size());
    }
    CHECK(wrong == 0);
    const bool there = std::any_of(first["records"].begin(), first["records"].end(), [](const json& one) {
        return one["similarity"].size() == 3 && one["similarity"][1] == -0.2 && one["similarity"][2].is_null();
    });
    CHECK(there);

    const json without = json_of({run}, above_share{}, sink_json_options{.records = false});
    CHECK(!without["runs"][0].contains("records"));
    CHECK(without["runs"][0]["metrics"].size() == 2 * (4 + 1));
    CHECK(json_of({run}, odd_ones{})["definition"] == "Sinks: by a definition of the caller's own.");
}

TEST_CASE("metrics are means over sequences and heads of what is defined") {
    const sink_run run = random_run("run", {2, 4, 2, 6, 1}, 3, 5, 3);
    const above_share definition{0.35};
    const json one = json_of({run}, definition)["runs"][0];
    const detail::report_run sorted = detail::report_run_of("test", run, "run");
    const auto sequences = sorted.sequences();
    const auto column = [&](const char* name, const auto& value) {
        INFO(name);
        double all = 0;
        double count = 0;
        for (index_t layer = 0; layer < 2; ++layer) {
            for (index_t head = 0; head <= 4; ++head) {
                double sum = 0;
                double defined = 0;
                for (const std::span<const sink_record> steps : sequences) {
                    const double each = value(steps, layer, head);
                    sum += std::isnan(each) ? 0 : each;
                    defined += std::isnan(each) ? 0 : 1;
                }
                const json& row = one["metrics"][static_cast<std::size_t>(layer * 5 + head)];
                CHECK(row["layer"] == layer);
                CHECK((head < 4 ? row["head"] == head : row["head"].is_null()));
                CHECK(row[name].is_null() == (defined == 0));
                if (defined > 0) {
                    CHECK(row[name].get<double>() == doctest::Approx(sum / defined).epsilon(1e-12));
                    all += head < 4 ? sum / defined : 0;
                    count += head < 4 ? 1 : 0;
                }
            }
        }
        CHECK(count > 0);
        CHECK(one["summary"][name].get<double>() == doctest::Approx(all / count).epsilon(1e-12));
    };
    const auto movement = [&](std::span<const sink_record> steps, index_t layer, index_t head) {
        return head < 4 ? movement_of(steps, layer, head, definition) : movement_of(steps, layer, definition);
    };
    column("gated_share", [&](auto steps, index_t layer, index_t head) {
        return static_cast<double>(movement(steps, layer, head).gated) / 5;
    });
    column("strength", [&](auto... at) { return movement(at...).strength; });
    column("change_rate", [&](auto... at) { return movement(at...).change_rate; });
    column("residence", [&](auto... at) { return movement(at...).residence; });
    column("overlap", [&](auto... at) { return movement(at...).overlap; });
    column("centroid_deviation", [&](auto... at) { return std::sqrt(movement(at...).centroid_variance); });
    column("shuffled_change_rate", [&](auto steps, index_t layer, index_t head) {
        return movement(shuffled(steps, 0), layer, head).change_rate;
    });
    column("norm_ratio", [&](auto steps, index_t layer, index_t head) {
        return head < 4 ? value_norm_ratio_of(steps, layer, head, definition)
                        : value_norm_ratio_of(steps, layer, definition);
    });
    const auto mean_mass = [&](const sink_record& record, index_t layer, index_t head) {
        double mass = 0;
        for (index_t each = head < 4 ? head : 0; each < (head < 4 ? head + 1 : 4); ++each) {
            mass += extra_mass(record, layer, each) / (head < 4 ? 1 : 4);
        }
        return mass;
    };
    const auto moment = [&](auto steps, index_t layer, index_t head, double power) {
        double sum = 0;
        for (const sink_record& record : steps) {
            sum += std::pow(mean_mass(record, layer, head), power) / 5;
        }
        return sum;
    };
    column("extra_mass", [&](auto... at) { return moment(at..., 1); });
    column("extra_mass_deviation",
           [&](auto... at) { return std::sqrt(moment(at..., 2) - std::pow(moment(at..., 1), 2)); });
    CHECK(one["summary"].size() == sink_metrics.size());
}

TEST_CASE("CSV, worked out by hand") {
    sink_record one = small_record();
    sink_record other = one; // the strongest is a position
    other.call = 3;
    other.received = {0.5F, 1, 0.5F};
    other.masked.clear();
    other.tokens.clear();
    const std::string header = "run,sequence,call,layer,head,position,token,masked,share,times_uniform,is_sink,sinks,"
                               "extra_mass,value_norm,norm_ratio\r\n";
    CHECK(csv_of({{"a, \"b\"", {one, other}}, {"c", {small_record()}}}) ==
          header + "\"a, \"\"b\"\"\",2,3,0,0,1,,,0.5,1.5,1,1,0.25,3,1.5\r\n" +
              "\"a, \"\"b\"\"\",2,7,0,0,-1,,,0.625,1.875,1,1,0.625,0.5,0.25\r\n" +
              "c,2,7,0,0,-1,,,0.625,1.875,1,1,0.625,0.5,0.25\r\n");
    other.masked = {1, 1};
    other.tokens = {0, 9};
    other.value_norms = {1, static_cast<float>(no_number), 1};
    CHECK(csv_of({{"d", {other}}}) == header + "d,2,3,0,0,1,9,1,0.5,1.5,1,1,0.25,,\r\n");
}

TEST_CASE("what is wrong with a run is said, and nothing written") {
    const auto throws = [](const sink_run& run, const std::string& what) {
        INFO(what);
        std::ostringstream out;
        const std::vector<sink_run> runs{{"good", {small_record()}}, run};
        CHECK_THROWS_WITH_AS(write_sink_html(out, runs, word), ("write_sink_html: " + what).c_str(), invalid_argument);
        CHECK_THROWS_WITH_AS(write_sink_csv(out, runs), ("write_sink_csv: " + what).c_str(), invalid_argument);
        CHECK_THROWS_WITH_AS(write_sink_json(out, runs), ("write_sink_json: " + what).c_str(), invalid_argument);
        CHECK(out.str().empty());
    };
    const auto with = [](auto... change) {
        sink_record one = small_record();
        one.call = 9;
        (change(one), ...);
        return sink_run{"bad", {small_record(), one}};
    };
    throws({"bad", {}}, "runs[1].records is empty, expected a record or more");
    throws(with([](sink_record& one) { one.heads = 2; }),
           "heads of runs[1].records[1] is 2, expected 1, as in the run's first record");
    throws(with([](sink_record& one) { one.sinks = 0; }),
           "sinks of runs[1].records[1] is 0, expected 1, as in the run's first record");
    throws(with([](sink_record& one) { one.length = 0; }), "length of runs[1].records[1] is 0, expected at least 1");
    throws(with([](sink_record& one) { one.received.pop_back(); }),
           "received.size() of runs[1].records[1] is 2, expected 3 (layers * heads * keys)");
    throws(with([](sink_record& one) { one.seen_by.push_back(1); }),
           "seen_by.size() of runs[1].records[1] is 4, expected 3 (layers * keys)");
    throws(with([](sink_record& one) { one.value_norms.clear(); }),
           "value_norms.size() of runs[1].records[1] is 0, expected 3 (layers * kv_heads * keys)");
    throws(with([](sink_record& one) { one.similarity = {1}; }),
           "similarity.size() of runs[1].records[1] is 1, expected 2 (layers + 1), or 0");
    throws(with([](sink_record& one) { one.masked = {1}; }),
           "masked.size() of runs[1].records[1] is 1, expected 2 (length), or 0");
    throws(with([](sink_record& one) { one.tokens = {1, 2, 3}; }),
           "tokens.size() of runs[1].records[1] is 3, expected 2 (length), or 0");
    throws(with([](sink_record& one) { one.call = 7; }),
           "runs[1].records is with two of sequence 2, call 7, expected one for each sequence and call");
    std::ostringstream out;
    CHECK_THROWS_WITH_AS(write_sink_html(out, {}, word), "write_sink_html: runs is empty, expected a run or more",
                         invalid_argument);
    const sink_run run{"run", {small_record()}};
    CHECK_THROWS_WITH_AS(write_sink_svg(out, {"bad", {}}),
                         "write_sink_svg: run.records is empty, expected a record or more", invalid_argument);
    CHECK_THROWS_WITH_AS(write_sink_svg(out, run, {.layer = 1, .head = {}, .sequence = {}, .title = {}}),
                         "write_sink_svg: options.layer is 1, expected an index below 1", invalid_argument);
    CHECK_THROWS_WITH_AS(write_sink_svg(out, run, {.layer = 0, .head = 1, .sequence = {}, .title = {}}),
                         "write_sink_svg: options.head is 1, expected an index below 1", invalid_argument);
    CHECK_THROWS_WITH_AS(write_sink_svg(out, run, {.layer = 0, .head = {}, .sequence = 0, .title = {}}),
                         "write_sink_svg: options.sequence is 0, expected one that the run has records of",
                         invalid_argument);
    CHECK(out.str().empty());
}
