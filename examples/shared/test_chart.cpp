// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include <doctest/doctest.h>

#include <cmath>
#include <cstddef>
#include <string>

#include "chart.hpp"
#include "estimate.hpp"

using namespace examples;

namespace {

std::size_t count_of(const std::string& text, const std::string& part) {
    std::size_t count = 0;
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
        ++count;
    }
    return count;
}

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("a mean and its standard error") {
    const estimate result = estimate_of({1.0, 2.0, 3.0, 6.0});
    CHECK(result.mean == 3.0);
    CHECK(std::abs(result.error - std::sqrt(14.0 / 3.0 / 4.0)) < 1e-12);
    CHECK(estimate_of({5.0}).error == 0.0);
}

TEST_CASE("an axis has round steps that hold its values") {
    for (const double least : {0.0, -3.0, 0.37, 1.0}) {
        for (const double width : {1e-4, 0.013, 0.6, 1.0, 7.5, 4096.0}) {
            CAPTURE(least);
            CAPTURE(width);
            const chart_axis axis = chart_axis::around(least, least + width);
            CHECK(axis.first <= least + 1e-9 * width);
            CHECK(axis.tick(axis.steps) >= least + width * (1.0 - 1e-6));
            CHECK(axis.steps >= 3);
            CHECK(axis.steps <= 10);
            const double digit = axis.step / std::pow(10.0, std::floor(std::log10(axis.step) + 1e-9));
            CHECK(std::abs(digit - std::round(digit)) < 1e-6);
        }
    }
    CHECK(chart_axis::around(2.0, 2.0).steps == 1); // a single value
    CHECK(chart_axis::around(0.0, 3.0, 1.0).step == 1.0);
}

TEST_CASE("a chart has its points where they belong, and says what they are") {
    const chart data{.title = "bits",
                     .x_label = "calls",
                     .doubles = true,
                     .series = {{"slow", {{4.0, 1.0, 0.5}, {16.0, 3.0}}}, {"fast", {{1.0, 2.0}}}},
                     .levels = {{"real", 0.0}}};
    const std::string svg = svg_of(data);
    CHECK(svg.starts_with("<svg"));
    CHECK(svg.ends_with("</svg>\n"));
    CHECK(count_of(svg, "r=\"3.5\"") == 3);
    CHECK(count_of(svg, "stroke-dasharray") == 2); // in the picture and below it
    for (const char* text : {">bits</text>", ">calls</text>", ">slow</text>", ">fast</text>", ">real</text>"}) {
        CHECK(has(svg, text));
    }
    // From 1 to 16 in four doublings over 570 units, from 0 to 3 in steps of 0.5 over 300.
    CHECK(has(svg, "<circle cx=\"50.0\" cy=\"134.0\" r=\"3.5\""));
    CHECK(has(svg, "<circle cx=\"335.0\" cy=\"234.0\" r=\"3.5\""));
    CHECK(has(svg, "M335.0 184.0V284.0"));
    CHECK(has(svg, "<circle cx=\"620.0\" cy=\"34.0\" r=\"3.5\""));
    CHECK(has(svg, "d=\"M335.0 234.0L620.0 34.0\""));
    CHECK(has(svg, "M50.0 334.0H620.0"));
}
