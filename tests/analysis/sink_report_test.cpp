// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <unmask/analysis/sink_definition.hpp>
#include <unmask/analysis/sink_movement.hpp>
#include <unmask/analysis/sink_record.hpp>
#include <unmask/analysis/sink_report.hpp>
#include <unmask/analysis/sink_report_csv.hpp>
#include <unmask/analysis/sink_report_data.hpp>
#include <unmask/analysis/sink_report_html.hpp>
#include <unmask/analysis/sink_report_json.hpp>
#include <unmask/analysis/sink_report_metrics.hpp>
#include <unmask/analysis/sink_report_svg.hpp>
#include <unmask/error.hpp>

using namespace unmask;
using nlohmann::json;

namespace {

constexpr double no_number = std::numeric_limits<double>::quiet_NaN();

struct shape {
    index_t layers = 1, heads = 1, kv_heads = 1, length = 4, sinks = 0;
};

sink_record empty_record(const shape& of, index_t sequence, index_t call) {
    sink_record one;
    one.call = call;
    one.sequence = sequence;
    one.layers = of.layers;
    one.heads = of.heads;
    one.kv_heads = of.kv_heads;
    one.length = of.length;
    one.sinks = of.sinks;
    return one;
}

// Random mass, of which each query gives 1; everything is seen by `length` queries.
sink_record random_record(const shape& of, index_t sequence, index_t call, std::mt19937& random) {
    sink_record one = empty_record(of, sequence, call);
    std::exponential_distribution<double> heavy;
    for (index_t row = 0; row < of.layers * of.heads; ++row) {
        std::vector<double> mass(static_cast<std::size_t>(one.keys()));
        double all = 0;
        for (double& each : mass) {
            all += each = std::exp(2 * heavy(random));
        }
        for (const double each : mass) {
            one.received.push_back(static_cast<float>(each / all * static_cast<double>(of.length)));
        }
    }
    one.seen_by.assign(static_cast<std::size_t>(of.layers * one.keys()), of.length);
    for (index_t i = 0; i < of.layers * of.kv_heads * one.keys(); ++i) {
        one.value_norms.push_back(static_cast<float>(0.1 + heavy(random)));
    }
    for (index_t i = 0; i < of.length; ++i) {
        one.masked.push_back(static_cast<std::uint8_t>(random() % 2));
        one.tokens.push_back(static_cast<token_t>(random() % 5));
    }
    return one;
}

sink_run random_run(const std::string& name, const shape& of, index_t sequences, index_t steps, unsigned seed) {
    std::mt19937 random(seed);
    sink_run run{name, {}};
    for (index_t call = 0; call < steps; ++call) {
        for (index_t sequence = 0; sequence < sequences; ++sequence) {
            run.records.push_back(random_record(of, sequence, call, random));
        }
    }
    return run;
}

// Two positions and an extra sink, one head, worked out by hand below.
sink_record small_record() {
    sink_record one = empty_record({1, 1, 1, 2, 1}, 2, 7);
    one.received = {0.25F, 0.5F, 1.25F};
    one.seen_by = {2, 2, 2};
    one.value_norms = {1, 3, 0.5F};
    one.masked = {1, 0};
    one.tokens = {4, 3};
    return one;
}

std::string word(token_t token) {
    return token == 4 ? "</script>\"\\\x01\xff" : std::string(1, static_cast<char>('a' + token));
}

template <class... More>
std::string html_of(const std::vector<sink_run>& runs, const More&... more) {
    std::ostringstream out;
    write_sink_html(out, runs, word, more...);
    return out.str();
}
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
std::string svg_of(const sink_run& run, const sink_svg_options& options = {}) {
    std::ostringstream out;
    write_sink_svg(out, run, options);
    return out.str();
}

// What is in the element that holds the data, as the parser of HTML finds it.
json data_of(const std::string& html) {
    const std::string opening = "<script id=\"data\" type=\"application/json\">";
    const std::size_t begin = html.find(opening) + opening.size();
    return json::parse(html.substr(begin, html.find("</", begin) - begin));
}

std::vector<unsigned> from_base64(const std::string& text) {
    const std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::vector<unsigned> bytes;
    unsigned bits = 0;
    unsigned count = 0;
    for (const char one : text.substr(0, text.find('='))) {
        bits = (bits << 6 | static_cast<unsigned>(digits.find(one))) & 0xffff;
        count += 6;
        if (count >= 8) {
            count -= 8;
            bytes.push_back(bits >> count & 255);
        }
    }
    return bytes;
}

double decoded(unsigned code, double codes_per_octave) {
    return code == 0 ? 0 : std::exp2((code - 255.0) / codes_per_octave);
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
    column("sink_rate", [&](auto steps, index_t layer, index_t head) {
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

TEST_CASE("the page's bytes decode to what was recorded") {
    const shape of{2, 4, 2, 6, 2};
    sink_run run = random_run("run", of, 2, 3, 4);
    std::mt19937 random(5);
    run.records[4] = random_record({2, 4, 2, 3, 2}, 0, 2, random); // half of the sequence
    run.records[0].received[0] = 0;
    run.records[0].received[1] = 5;
    run.records[0].received[2] = 7e-9F; // too small
    run.records[0].similarity = {0.5, 0.25, 0.125};
    const json page = data_of(html_of({run}, above_share{0.3}));
    const double share_codes = page["codes"]["share"];
    const double norm_codes = page["codes"]["norm"];
    const json& data = page["runs"][0];
    REQUIRE(data["sequences"].size() == 2);
    const json& first = data["sequences"][0];
    CHECK(first["length"] == 6);
    CHECK(first["calls"] == json({0, 1, 2}));
    CHECK(first["lengths"] == json({6, 6, 3}));
    CHECK(first["similarity"] == json({0.5, 0.25, 0.125}));
    CHECK(data["sequences"][1]["similarity"].empty());

    const auto received = from_base64(first["received"]);
    const auto norms = from_base64(first["norms"]);
    const auto masked = from_base64(first["masked"]);
    REQUIRE(received.size() == 3 * 2 * 4 * 8);
    REQUIRE(norms.size() == 3 * 2 * 2 * 8);
    REQUIRE(masked.size() == 3); // 18 bits
    float largest = 0;
    for (const sink_record& record : run.records) {
        largest = std::max(largest, *std::max_element(record.value_norms.begin(), record.value_norms.end()));
    }
    std::vector<token_t> tokens(6, -1);
    index_t wrong = 0;
    double most = 0;
    for (std::size_t step = 0; step < 3; ++step) {
        const sink_record& record = run.records[step * 2];
        const auto own_length = static_cast<std::size_t>(record.length);
        const json& changes = first["tokens"][step];
        for (std::size_t i = 0; i < changes.size(); i += 2) {
            tokens[changes[i].get<std::size_t>()] = changes[i + 1];
        }
        for (std::size_t i = 0; i < own_length; ++i) {
            CHECK(tokens[i] == record.tokens[i]);
            CHECK((masked[(step * 6 + i) / 8] >> (step * 6 + i) % 8 & 1) == record.masked[i]);
        }
        for (std::size_t layer = 0; layer < 2; ++layer) {
            const double uniform = first["uniform"][step * 2 + layer];
            CHECK(uniform == doctest::Approx(record.length < 6 ? 1.0 / 5 : 1.0 / 8).epsilon(0.2));
            for (std::size_t row = 0; row <= 4; ++row) {
                const auto values = row < 4 ? received_in(record, static_cast<index_t>(layer),
                                                          static_cast<index_t>(row), attention_unit::mean)
                                            : received_in(record, static_cast<index_t>(layer), attention_unit::mean);
                std::vector<std::size_t> sinks;
                for (std::size_t key = 0; key < 8; ++key) {
                    const std::size_t own = key < 6 ? key : key - 6 + own_length;
                    const bool there = key >= 6 || key < own_length;
                    const double value = there ? values[own] : 0;
                    most = std::max(most, value / uniform);
                    if (value > 0.3) {
                        sinks.push_back(key);
                    }
                    if (row < 4) {
                        const double read = decoded(received[((step * 2 + layer) * 4 + row) * 8 + key], share_codes);
                        const bool close =
                            value < 1e-6 ? read == 0 : std::abs(std::log2(read / value)) < 0.51 / share_codes;
                        wrong += close ? 0 : 1;
                    }
                    if (row < 2) {
                        const double norm =
                            there ? static_cast<double>(record.value_norms[(layer * 2 + row) * (own_length + 2) + own])
                                  : 0;
                        const double read = decoded(norms[((step * 2 + layer) * 2 + row) * 8 + key], norm_codes);
                        const double expected = norm / static_cast<double>(largest);
                        wrong +=
                            (norm == 0 ? read == 0 : std::abs(std::log2(read / expected)) < 0.51 / norm_codes) ? 0 : 1;
                    }
                }
                CHECK(first["sinks"][(step * 2 + layer) * 5 + row].get<std::vector<std::size_t>>() == sinks);
            }
        }
    }
    CHECK(wrong == 0);
    CHECK(data["most"].get<double>() >= most * 0.999999);
    CHECK(data["strength"].size() == 10);
    CHECK(data["metrics"].size() == 10);
    CHECK(data["metrics"][0].size() == page["columns"].size());
    CHECK(detail::base64(std::vector<std::uint8_t>{}).empty());
    CHECK(detail::base64(std::vector<std::uint8_t>{'a'}) == "YQ==");
    CHECK(detail::base64(std::vector<std::uint8_t>{'a', 'b'}) == "YWI=");
    CHECK(detail::base64(std::vector<std::uint8_t>{'a', 'b', 0xff}) == "YWL/");
}

TEST_CASE("strengths are of the strongest key, over what even attention gives") {
    sink_run run{"run", {small_record(), small_record()}};
    run.records[1].call = 8;
    run.records[1].received = {1.5F, 0.25F, 0.25F};
    const json data = data_of(html_of({run}))["runs"][0];
    CHECK(data["strength"] == json({2.0625, 2.0625})); // (0.625 + 0.75) / 2 over 1/3, one head and its mean
    CHECK(data["most"] == 2.25);
    run.records[0].seen_by = {0, 0, 0};
    run.records[0].received = {0, 0, 0};
    CHECK(data_of(html_of({run}))["runs"][0]["strength"] == json({1.125, 1.125}));
}

TEST_CASE("the page is whole, leaves nothing open and asks nobody") {
    const std::string html =
        html_of({{"</script><b>&", {small_record()}}}, above_share{}, sink_html_options{.title = "Über <i>"});
    CHECK(html.starts_with("<!DOCTYPE html>"));
    CHECK(html.ends_with("</html>\n"));
    CHECK(html.find("<title>Über &lt;i&gt;</title>") != std::string::npos);
    for (const char* outside : {"http", "src=", "href", "@import", "url(", "fetch(", "\x01", "\xff"}) {
        INFO(outside);
        CHECK(html.find(outside) == std::string::npos);
    }
    const auto count = [&](std::string_view what) {
        index_t found = 0;
        for (std::size_t at = html.find(what); at != std::string::npos; at = html.find(what, at + 1)) {
            ++found;
        }
        return found;
    };
    CHECK(count("<script") == 2);
    CHECK(count("</script") == 2);
    const json page = data_of(html);
    CHECK(page["title"] == "Über <i>");
    CHECK(page["runs"][0]["name"] == "</script><b>&");
    CHECK(page["texts"]["4"] == "</script>\"\\␁\xef\xbf\xbd");
    CHECK(page["texts"].size() == 2);
    CHECK(page["definition"] == above_share{}.description());
}

TEST_CASE("pages of two long runs stay small") {
    std::vector<sink_run> runs{random_run("no sink", {5, 3, 3, 256, 0}, 1, 64, 6),
                               random_run("front", {5, 3, 3, 256, 1}, 1, 64, 7)};
    for (sink_run& run : runs) { // a position gets its token once, as in a sampler's run
        for (sink_record& record : run.records) {
            for (std::size_t i = 0; i < 256; ++i) {
                record.tokens[i] = record.call < static_cast<index_t>(i / 4) ? 9 : static_cast<token_t>(i % 5);
            }
        }
    }
    CHECK(html_of(runs).size() < 1500000);
}

TEST_CASE("strokes of a picture cover the cells that they stand for") {
    std::mt19937 random(8);
    for (int round = 0; round < 50; ++round) {
        detail::svg_grid grid{static_cast<index_t>(1 + random() % 6), static_cast<index_t>(1 + random() % 9), {}};
        for (index_t i = 0; i < grid.rows * grid.columns; ++i) {
            grid.cells.push_back({0, random() % 2 == 0});
        }
        std::istringstream path(detail::svg_strokes(grid, [](const detail::svg_cell& cell) { return cell.masked; }));
        std::vector<bool> drawn(grid.cells.size());
        index_t x = 0;
        index_t y = 0;
        char command = 0;
        for (index_t dx = 0, dy = 0, width = 0; path >> command >> dx >> dy >> command >> width; x += width) {
            x += dx;
            y += dy;
            for (index_t i = 0; i < width; ++i) {
                drawn.at(static_cast<std::size_t>(y * grid.columns + x + i)) = true;
            }
        }
        for (std::size_t i = 0; i < drawn.size(); ++i) {
            CHECK(drawn[i] == grid.cells[i].masked);
        }
    }
}

TEST_CASE("a picture's cells have the strongest of what they stand for") {
    std::vector<detail::svg_step> steps(128, {std::vector<double>(6, 1.0), {0, 0, 0, 1, 0}, 0});
    steps[5].times[3] = 9;  // row 2, column 1 of positions 1 to 4 in 2 columns
    steps[4].times[4] = 10; // the same cell
    const detail::svg_grid grid = detail::svg_grid_of(steps, 1, 4, 2);
    REQUIRE(grid.rows == 64);
    REQUIRE(grid.columns == 2);
    CHECK(grid.at(2, 1).times == 10);
    CHECK(!grid.at(2, 1).masked);
    CHECK(grid.at(2, 0).times == 1);
    CHECK(grid.at(3, 1).masked);
    CHECK(detail::svg_shade(1.99) == 0);
    CHECK(detail::svg_shade(2) == 1);
    CHECK(detail::svg_shade(63) == 5);
    CHECK(detail::svg_shade(1e300) == 6);
}

TEST_CASE("pictures are small, and whole") {
    std::mt19937 random(9);
    sink_run noise{"a < b & \x1b", {}};
    for (index_t call = 0; call < 100; ++call) { // every other key has all, every other is masked
        sink_record one = random_record({1, 1, 1, 300, 1}, 0, call, random);
        for (std::size_t i = 0; i < 301; ++i) {
            one.received[i] = random() % 2 == 0 ? 2.5F : 0;
        }
        noise.records.push_back(one);
    }
    const std::string svg = svg_of(noise);
    CHECK(svg.size() < 60000);
    CHECK(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 860 "));
    CHECK(svg.ends_with("</svg>\n"));
    CHECK(svg.find("<title>a &lt; b &amp; ␛</title>") != std::string::npos);
    CHECK(svg.find("<script") == std::string::npos);
    CHECK(svg.find(">sink</text>") != std::string::npos);

    // The strongest is the extra sink at 46 + 14 / 2, then position 1 of two in the 778 from 68 on.
    sink_run two{"two", {small_record(), small_record()}};
    two.records[1].call = 8;
    two.records[1].received = {0.25F, 1.5F, 0.25F};
    CHECK(svg_of(two).find("<path class=\"top\" d=\"M53 62h0M656 126h0\"/>") != std::string::npos);
    CHECK(svg_of(two, {.layer = 0, .head = 0, .sequence = 2, .title = "Title"}).find(">Title</text>") !=
          std::string::npos);
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
    throws(with([](sink_record& one) {
               one.tokens = {1, 2, 3};
           }),
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
