// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include <cstdio>
#include <string>
#include <vector>

#include "report.hpp"

namespace sink_study::backcopy {

namespace {

constexpr double panel_width = 176;
constexpr double top = 56;
constexpr double bar_height = 200;
constexpr double bar_width = 30;

struct shown_class {
    std::vector<const char*> names; // their masses are added
    const char* title;
    const char* colour;
};

const std::vector<shown_class>& shown_classes() {
    static const std::vector<shown_class> all = {{{"mask"}, "[MASK] keys", "#4878a8"},
                                                 {{"extra"}, "extra token", "#d65f4b"},
                                                 {{"marker", "delimiter"}, "markers and delimiters", "#b9b4a7"},
                                                 {{"content"}, "content", "#7fb58a"}};
    return all;
}

std::string number(double value, int digits = 1) {
    char text[32];
    std::snprintf(text, sizeof text, "%.*f", digits, value);
    return text;
}

std::string text_at(double x, double y, const std::string& text, const char* more = "") {
    return "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\"" + more + ">" + text + "</text>\n";
}

std::string rectangle(double x, double y, double width, double height, const std::string& colour) {
    return "<rect x=\"" + number(x) + "\" y=\"" + number(y) + "\" width=\"" + number(width) + "\" height=\"" +
           number(height) + "\" fill=\"" + colour + "\"/>\n";
}

double sum_of(const results_folder& results, const cell& which, const shown_class& classes, const std::string& number) {
    double sum = 0.0;
    for (const char* name : classes.names) {
        const estimate each = results.number(which, std::string("/sinks/shares/") + name + number);
        sum += each.values.empty() ? 0.0 : each.mean();
    }
    return sum;
}

std::string panel(const results_folder& results, const cell& which, double left) {
    const bool hidden = which.keys == "hidden";
    const bool token = which.variant == "front";
    std::string svg =
        text_at(left, 24, hidden ? "[MASK] keys hidden" : "[MASK] keys visible", " font-weight=\"bold\"") +
        text_at(left, 42, token ? "an extra token in front" : "no sink");
    for (int quarter = 0; quarter < 4; ++quarter) {
        const double x = left + quarter * (bar_width + 6);
        double y = top + bar_height;
        const std::string index = "/" + std::to_string(quarter);
        for (const shown_class& each : shown_classes()) {
            const double height = bar_height * sum_of(results, which, each, "/by_quarter" + index);
            y -= height;
            svg += height > 0.0 ? rectangle(x, y, bar_width, height, each.colour) : "";
        }
        if (!hidden || token) { // the even share of what is at the bottom
            const double even = sum_of(results, which, shown_classes()[hidden ? 1 : 0], "/uniform" + index);
            svg += rectangle(x - 2, top + bar_height * (1 - even) - 1, bar_width + 4, 2, "#111");
        }
        svg +=
            text_at(x + bar_width / 2, top + bar_height + 16, std::to_string(quarter + 1), " text-anchor=\"middle\"");
    }
    double y = top + bar_height + 38;
    for (const char* name : {"mask", "extra"}) {
        const estimate norm = results.number(which, std::string("/sinks/shares/") + name + "/value_norm");
        const bool mask = std::string(name) == "mask";
        if ((mask ? !hidden : token) && !norm.values.empty()) {
            svg += text_at(left, y,
                           std::string("value norm of ") + (mask ? "[MASK] " : "the token ") + number(norm.mean(), 2));
            y += 16;
        }
    }
    return svg;
}

} // namespace

std::string picture_of(const results_folder& results) {
    const double width = 4 * panel_width + 16;
    const double height = top + bar_height + 96;
    std::string svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " + number(width) + " " +
                      number(height) + "\" font-family=\"sans-serif\" font-size=\"11\" fill=\"#222\">\n" +
                      rectangle(0, 0, width, height, "#fff");
    double left = 16;
    for (const char* keys : {"visible", "hidden"}) {
        for (const char* variant : {"none", "front"}) {
            svg += panel(results, {.keys = keys, .variant = variant}, left);
            left += panel_width;
        }
    }
    double x = 16;
    const double y = height - 14;
    for (const shown_class& each : shown_classes()) {
        svg += rectangle(x, y - 9, 10, 10, each.colour) + text_at(x + 15, y, each.title);
        x += 38 + 6.0 * static_cast<double>(std::string(each.title).size());
    }
    svg += rectangle(x, y - 5, 16, 2, "#111") + text_at(x + 21, y, "even share of the lowest part");
    return svg + "</svg>\n";
}

} // namespace sink_study::backcopy
