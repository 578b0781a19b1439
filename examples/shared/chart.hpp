// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "formatted.hpp"

// Numbers as a picture in SVG, for white and black backgrounds.

namespace examples {

struct chart_point {
    double x;
    double y;
    double error = 0.0; ///< drawn to both sides of y
};

/// Points that a line joins.
struct chart_series {
    std::string name;
    std::vector<chart_point> points;
};

/// A dashed line across the picture.
struct chart_level {
    std::string name;
    double y;
};

/// At least one point. Texts have no < and no &.
struct chart {
    std::string title;
    std::string x_label;
    bool doubles = false; ///< x is drawn by its logarithm, and is above 0
    std::vector<chart_series> series;
    std::vector<chart_level> levels{};
};

/// An axis: round numbers at even distances, that hold all values between them.
struct chart_axis {
    double first;
    double step;
    int steps;

    [[nodiscard]] double tick(int i) const { return first + step * i; }
    /// Between 0 and 1 on the axis.
    [[nodiscard]] double share(double value) const { return (value - first) / (step * steps); }

    /// At most about eight steps of 1, 2 or 5 times a power of ten; `least_step` or more.
    static chart_axis around(double least, double most, double least_step = 0.0) {
        const double rough = std::max({(most - least) / 8.0, 1e-9, least_step});
        const double power = std::pow(10.0, std::floor(std::log10(rough)));
        const double step = (rough <= power         ? 1.0
                             : rough <= 2.0 * power ? 2.0
                             : rough <= 5.0 * power ? 5.0
                                                    : 10.0) *
                            power;
        const double first = std::floor(least / step) * step;
        return {first, step, std::max(1, static_cast<int>(std::ceil((most - first) / step - 1e-9)))};
    }
};

/// The picture. Below it stands what each colour means.
inline std::string svg_of(const chart& data) {
    constexpr std::array<const char*, 10> colours = {"#2f81f7", "#d9730d", "#2da44e", "#c0392b", "#8e5ea2",
                                                     "#00a3a3", "#b8860b", "#e0559b", "#6b8e23", "#7a6a5a"};
    constexpr const char* grey = "#747d89";
    constexpr double left = 50.0;
    constexpr double right = 620.0;
    constexpr double top = 34.0;
    constexpr double bottom = 334.0;
    const auto scaled = [&](double x) { return data.doubles ? std::log2(x) : x; };

    double least_x = INFINITY;
    double most_x = -INFINITY;
    double least_y = INFINITY;
    double most_y = -INFINITY;
    for (const chart_series& series : data.series) {
        for (const auto& [x, y, error] : series.points) {
            least_x = std::min(least_x, scaled(x));
            most_x = std::max(most_x, scaled(x));
            least_y = std::min(least_y, y - error);
            most_y = std::max(most_y, y + error);
        }
    }
    for (const chart_level& level : data.levels) {
        least_y = std::min(least_y, level.y);
        most_y = std::max(most_y, level.y);
    }
    const chart_axis along = chart_axis::around(data.doubles ? least_x : 0.0, most_x, data.doubles ? 1.0 : 0.0);
    const chart_axis up = chart_axis::around(least_y, most_y);
    const auto x_of = [&](double x) { return left + (right - left) * along.share(scaled(x)); };
    const auto y_of = [&](double y) { return bottom - (bottom - top) * up.share(y); };

    const std::size_t entries = data.series.size() + data.levels.size();
    const auto entry_x = [&](std::size_t i) { return left + 290.0 * static_cast<double>(i % 2); };
    const auto entry_y = [&](std::size_t i) { return bottom + 60.0 + 18.0 * std::floor(static_cast<double>(i) / 2.0); };
    const double height = entry_y(entries + 1);
    std::string svg = formatted("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 640 %.0f\" "
                                "font-family=\"sans-serif\" font-size=\"12\" fill=\"%s\">\n",
                                height, grey);
    svg += "<!-- SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception -->\n";
    svg += "<text x=\"10\" y=\"18\" font-size=\"13\" font-weight=\"bold\">" + data.title + "</text>\n";
    for (int i = 0; i <= along.steps; ++i) {
        const double x = left + (right - left) * i / along.steps;
        svg +=
            formatted("<path d=\"M%.1f %.1fV%.1f\" stroke=\"%s\" stroke-opacity=\"0.25\"/><text x=\"%.1f\" "
                      "y=\"%.1f\" text-anchor=\"middle\">%g</text>\n",
                      x, top, bottom, grey, x, bottom + 16.0, data.doubles ? std::exp2(along.tick(i)) : along.tick(i));
    }
    for (int i = 0; i <= up.steps; ++i) {
        const double y = y_of(up.tick(i));
        svg += formatted("<path d=\"M%.1f %.1fH%.1f\" stroke=\"%s\" stroke-opacity=\"0.25\"/><text x=\"%.1f\" "
                         "y=\"%.1f\" text-anchor=\"end\">%.*f</text>\n",
                         left, y, right, grey, left - 6.0, y + 4.0,
                         std::max(0, static_cast<int>(-std::floor(std::log10(up.step) + 1e-9))), up.tick(i));
    }
    svg += formatted("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">", (left + right) / 2.0, bottom + 34.0) +
           data.x_label + "</text>\n";
    for (std::size_t i = 0; i < data.series.size(); ++i) {
        const char* colour = colours[i % colours.size()];
        std::string path;
        for (const auto& [x, y, error] : data.series[i].points) {
            path += formatted("%s%.1f %.1f", path.empty() ? "M" : "L", x_of(x), y_of(y));
            svg += formatted("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\" fill=\"%s\"/>", x_of(x), y_of(y), colour);
            if (error > 0.0) {
                svg += formatted("<path d=\"M%.1f %.1fV%.1f\" stroke=\"%s\"/>", x_of(x), y_of(y + error),
                                 y_of(y - error), colour);
            }
            svg += "\n";
        }
        svg += "<path d=\"" + path + "\" fill=\"none\" stroke=\"" + colour + "\" stroke-width=\"1.5\"/>\n";
        svg += formatted("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"%s\"/><text x=\"%.1f\" y=\"%.1f\">",
                         entry_x(i) + 12.0, entry_y(i), colour, entry_x(i) + 32.0, entry_y(i) + 4.0) +
               data.series[i].name + "</text>\n";
    }
    for (std::size_t i = 0; i < data.levels.size(); ++i) {
        const char* colour = colours[(data.series.size() + i) % colours.size()];
        const std::size_t entry = data.series.size() + i;
        const char* dashed = "stroke-width=\"1.5\" stroke-dasharray=\"5 4\"";
        svg += formatted("<path d=\"M%.1f %.1fH%.1f\" stroke=\"%s\" %s/>\n", left, y_of(data.levels[i].y), right,
                         colour, dashed);
        svg += formatted("<path d=\"M%.1f %.1fh24\" stroke=\"%s\" %s/><text x=\"%.1f\" y=\"%.1f\">", entry_x(entry),
                         entry_y(entry), colour, dashed, entry_x(entry) + 32.0, entry_y(entry) + 4.0) +
               data.levels[i].name + "</text>\n";
    }
    return svg + "</svg>\n";
}

} // namespace examples
