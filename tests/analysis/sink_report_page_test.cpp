// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <unmask/analysis/report/detail/data.hpp>
#include <unmask/analysis/report/html.hpp>
#include <unmask/analysis/report/svg.hpp>
#include <unmask/analysis/sink_definition.hpp>

#include "sink_report_runs.hpp"

using namespace sink_report_test;
using nlohmann::json;

namespace {

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

} // namespace

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
    sink_record& shorter = two.records[0]; // the extra sink is then its key 1, but no position
    shorter.length = 1;
    shorter.received = {0.25F, 1.75F};
    shorter.seen_by = {2, 2};
    shorter.value_norms = {1, 1};
    shorter.masked.clear();
    shorter.tokens.clear();
    CHECK(svg_of(two).find("d=\"M53 62h0M656 126h0\"/>") != std::string::npos);
    CHECK(svg_of(two, {.layer = 0, .head = 0, .sequence = 2, .title = "Title"}).find(">Title</text>") !=
          std::string::npos);
}
