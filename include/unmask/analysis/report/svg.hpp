// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <ostream>
#include <span>
#include <string>
#include <vector>

#include <unmask/analysis/report/metrics.hpp>
#include <unmask/analysis/report/report.hpp>
#include <unmask/analysis/sink_definition.hpp>
#include <unmask/analysis/sink_record.hpp>
#include <unmask/config.hpp>
#include <unmask/error.hpp>
#include <unmask/sampler/trace/html.hpp>
#include <unmask/sampler/trace/json.hpp>

UNMASK_NAMESPACE_BEGIN

/// Options of write_sink_svg.
struct sink_svg_options {
    index_t layer = 0;               ///< the layer that is shown
    std::optional<index_t> head;     ///< the head that is shown; the mean of the layer's heads if empty
    std::optional<index_t> sequence; ///< the sequence that is shown; the first recorded one if empty
    std::string title;               ///< UTF-8; the run's name if empty
};

namespace detail {

// Shades are powers of 2 times uniform attention, from 2 to 64.
inline constexpr index_t svg_shades = 6;

struct svg_cell {
    double times = 0; // over uniform attention
    bool masked = false;
};

// A grid of cells. If there are more steps or keys than cells, each cell has the strongest of its values.
struct svg_grid {
    index_t rows = 0;
    index_t columns = 0;
    std::vector<svg_cell> cells; // [rows, columns]

    [[nodiscard]] const svg_cell& at(index_t row, index_t column) const {
        return cells[static_cast<std::size_t>(row * columns + column)];
    }
};

// The part of a record that is shown.
struct svg_step {
    std::vector<double> times; // [keys] of the longest record of the sequence; −1 for keys that the record lacks
    std::vector<std::uint8_t> masked;
    index_t strongest = 0;
};

inline svg_grid svg_grid_of(const std::vector<svg_step>& steps, index_t first, index_t count, index_t most_columns) {
    constexpr index_t most_rows = 64;
    const index_t all = std::ssize(steps);
    svg_grid grid{std::min(all, most_rows), std::min(count, most_columns), {}};
    grid.cells.resize(static_cast<std::size_t>(grid.rows * grid.columns));
    for (index_t step = 0; step < all; ++step) {
        const svg_step& from = steps[static_cast<std::size_t>(step)];
        for (index_t i = 0; i < count; ++i) {
            const auto key = static_cast<std::size_t>(first + i);
            svg_cell& cell =
                grid.cells[static_cast<std::size_t>(step * grid.rows / all * grid.columns + i * grid.columns / count)];
            if (from.times[key] > cell.times) {
                cell = {from.times[key], key < from.masked.size() && from.masked[key] != 0};
            }
        }
    }
    return grid;
}

// A path that draws all cells for which `is_in` holds, with one stroke for each run of cells in a row.
template <class IsIn>
std::string svg_strokes(const svg_grid& grid, const IsIn& is_in) {
    std::string path;
    index_t x = 0;
    index_t y = 0;
    for (index_t row = 0; row < grid.rows; ++row) {
        for (index_t begin = 0; begin < grid.columns; ++begin) {
            index_t end = begin;
            while (end < grid.columns && is_in(grid.at(row, end))) {
                ++end;
            }
            if (end > begin) {
                path += (path.empty() ? "M" : "m") + shortest(begin - x) + ' ' + shortest(row - y) + 'h' +
                        shortest(end - begin);
                x = end;
                y = row;
                begin = end;
            }
        }
    }
    return path;
}

inline index_t svg_shade(double times) {
    return times >= 2 ? std::min(svg_shades, static_cast<index_t>(std::log2(std::min(times, 1e6)))) : 0;
}

// Text at a place; `end`, `start` or `middle`.
inline std::string svg_text(double x, double y, const char* anchor, const std::string& text) {
    return "<text x=\"" + shortest(x) + "\" y=\"" + shortest(y) + "\" text-anchor=\"" + anchor + "\">" +
           html_escaped(text) + "</text>\n";
}

struct svg_area {
    double x = 0, y = 0, width = 0, height = 0;
};

// A heat map in its frame.
inline std::string svg_heat(const svg_grid& grid, const svg_area& area) {
    const double wide = area.width / static_cast<double>(grid.columns);
    const double high = area.height / static_cast<double>(grid.rows);
    std::string result = "<g transform=\"translate(" + shortest(area.x) + ' ' + shortest(area.y + high / 2) +
                         ")scale(" + shortest(wide) + ' ' + shortest(high) + ")\">\n";
    const auto add = [&](const std::string& path, const char* what, double opacity) {
        if (!path.empty()) {
            result += std::string("<path class=\"") + what + "\" stroke-opacity=\"" + shortest(opacity) + "\" d=\"" +
                      path + "\"/>\n";
        }
    };
    add(svg_strokes(grid, [](const svg_cell& cell) { return cell.masked && svg_shade(cell.times) == 0; }), "cool",
        0.12);
    for (index_t shade = 1; shade <= svg_shades; ++shade) {
        const double opacity = 0.1 + 0.15 * static_cast<double>(shade);
        for (const bool masked : {false, true}) {
            add(svg_strokes(
                    grid,
                    [&](const svg_cell& cell) { return cell.masked == masked && svg_shade(cell.times) == shade; }),
                masked ? "cool" : "warm", opacity);
        }
    }
    return result + "</g>\n<rect class=\"frame\" x=\"" + shortest(area.x) + "\" y=\"" + shortest(area.y) +
           "\" width=\"" + shortest(area.width) + "\" height=\"" + shortest(area.height) + "\"/>\n";
}

// A round distance between about `parts` ticks on an axis.
inline index_t tick_step(index_t length, index_t parts) {
    index_t power = 1;
    while (true) {
        for (const index_t digit : {1, 2, 5}) {
            if (digit * power * parts >= length) {
                return digit * power;
            }
        }
        power *= 10;
    }
}

inline std::vector<svg_step> svg_steps(std::span<const sink_record> records, index_t layer, index_t head,
                                       index_t length) {
    std::vector<svg_step> steps;
    for (const sink_record& record : records) {
        svg_step step{std::vector<double>(static_cast<std::size_t>(length + record.sinks), -1), record.masked, 0};
        const std::vector<double> shares = received_by(record, layer, head, attention_unit::mean);
        const double uniform = uniform_share(record, layer);
        const auto place = [&](index_t key) { return key < record.length ? key : key - record.length + length; };
        for (index_t key = 0; key < record.keys(); ++key) {
            step.times[static_cast<std::size_t>(place(key))] = shares[static_cast<std::size_t>(key)] / uniform;
        }
        step.strongest = place(strongest_of(shares));
        steps.push_back(std::move(step));
    }
    return steps;
}

// The records of the sequence that is shown.
inline std::span<const sink_record> svg_sequence(const report_run& run, const sink_svg_options& options) {
    const auto in_range = [](const char* what, index_t was, index_t end) {
        if (was < 0 || was >= end) {
            throw invalid_argument("write_sink_svg", std::string("options.") + what, std::to_string(was),
                                   "an index below " + std::to_string(end));
        }
    };
    in_range("layer", options.layer, run.shape().layers);
    in_range("head", options.head.value_or(0), run.shape().heads);
    for (const std::span<const sink_record> steps : run.sequences()) {
        if (!options.sequence || steps.front().sequence == *options.sequence) {
            return steps;
        }
    }
    throw invalid_argument("write_sink_svg", "options.sequence", std::to_string(*options.sequence),
                           "one that the run has records of");
}

inline constexpr const char* svg_style = R"svg(<style>
text { font: 12px system-ui, sans-serif; fill: #6b6964 } .title { font-size: 14px; font-weight: 600; fill: #1a1917 }
path { fill: none } .warm { stroke: #b24a1a } .cool { stroke: #2c62a6 } .frame { fill: none; stroke: #8886; }
.top { stroke: #1a1917; stroke-width: 3.5; stroke-linecap: round }
@media (prefers-color-scheme: dark) {
text { fill: #9a9892 } .title { fill: #e8e6e0 } .warm { stroke: #f0965c } .cool { stroke: #7ab0f0 }
.top { stroke: #fff } }
</style>
)svg";

// The legend below the picture.
inline std::string svg_key(double x, double y, bool has_masked) {
    std::string result;
    for (index_t shade = 1; shade <= svg_shades; ++shade, x += 34) {
        const double opacity = 0.1 + 0.15 * static_cast<double>(shade);
        result += "<path class=\"warm\" stroke-width=\"8\" stroke-opacity=\"" + shortest(opacity) + "\" d=\"M" +
                  shortest(x) + ' ' + shortest(y - 7) + "h32" + "\"/>\n" +
                  svg_text(x + 16, y + 11, "middle", shortest(index_t{1} << shade) + "×");
    }
    result += svg_text(x + 6, y - 2, "start", "uniform attention, or more");
    x += 186;
    if (has_masked) {
        result += "<path class=\"cool\" stroke-width=\"8\" stroke-opacity=\"0.5\" d=\"M" + shortest(x) + ' ' +
                  shortest(y - 7) + "h20\"/>\n" + svg_text(x + 26, y - 2, "start", "to a masked position");
        x += 164;
    }
    return result + "<path class=\"top\" d=\"M" + shortest(x + 2) + ' ' + shortest(y - 7) + "h0\"/>\n" +
           svg_text(x + 10, y - 2, "start", "the most of its step");
}

} // namespace detail

/// Writes a layer and head of a run, or the mean of a layer's heads, as a small self-contained picture (SVG, 860 wide):
/// steps from top to bottom, positions from left to right, extra sinks in a separate column on the left. Cells are
/// shaded by the attention that the key received, in powers of 2 times uniform attention; masked positions have another
/// colour, and a dot marks the key that received most in its step. The picture follows the reader's light or dark
/// setting.
///
/// If there are more than 64 steps or 128 positions, those that share a cell are represented by the strongest. The file
/// usually has about 10 kB. Throws invalid_argument, with nothing written, if the run has no records or records of
/// different shapes, or lacks the layer, head or sequence. The caller checks whether writing to `out` succeeded.
inline void write_sink_svg(std::ostream& out, const sink_run& run, const sink_svg_options& options = {}) {
    using detail::shortest, detail::svg_text;
    const detail::report_run sorted = detail::report_run_of("write_sink_svg", run, "run");
    const std::span<const sink_record> records = detail::svg_sequence(sorted, options);
    const index_t sinks = sorted.shape().sinks;
    index_t length = 0;
    bool has_masked = false;
    for (const sink_record& record : records) {
        length = std::max(length, record.length);
        has_masked =
            has_masked || std::count(record.masked.begin(), record.masked.end(), 0) < std::ssize(record.masked);
    }
    const auto steps = detail::svg_steps(records, options.layer, options.head.value_or(sorted.shape().heads), length);

    const double width = 860;
    const double height = std::clamp(4.0 * static_cast<double>(steps.size()), 128.0, 256.0);
    const double column = sinks > 0 ? std::clamp(36.0 / static_cast<double>(sinks), 4.0, 14.0) : 0;
    const detail::svg_area extra{46, 30, column * static_cast<double>(sinks), height};
    const double begin = extra.x + extra.width + (sinks > 0 ? 8 : 0);
    const detail::svg_area area{begin, extra.y, width - 8 - begin, height};
    const double below = area.y + height;

    const std::string title = options.title.empty() ? run.name : options.title;
    out << "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " << shortest(width) << ' ' << shortest(below + 62)
        << "\">\n<title>" << detail::html_escaped(title) << "</title>\n"
        << detail::svg_style << "<text class=\"title\" x=\"" << shortest(area.x) << "\" y=\"18\">"
        << detail::html_escaped(title) << "</text>\n";
    out << detail::svg_heat(detail::svg_grid_of(steps, 0, length, 128), area);
    if (sinks > 0) {
        out << detail::svg_heat(detail::svg_grid_of(steps, length, sinks, 9), extra)
            << svg_text(extra.x + extra.width, below + 16, "end", sinks > 1 ? "sinks" : "sink");
    }

    const double row = height / static_cast<double>(steps.size());
    const double cell = area.width / static_cast<double>(length);
    out << "<path class=\"top\" d=\"";
    for (std::size_t i = 0; i < steps.size(); ++i) {
        const index_t key = steps[i].strongest;
        const double x = key < length ? area.x + cell * (static_cast<double>(key) + 0.5)
                                      : extra.x + column * (static_cast<double>(key - length) + 0.5);
        const auto tenth = [](double value) { return shortest(std::round(10 * value) / 10); };
        out << 'M' << tenth(x) << ' ' << tenth(area.y + row * (static_cast<double>(i) + 0.5)) << "h0";
    }
    out << "\"/>\n";

    for (index_t i = 0, step = detail::tick_step(std::ssize(steps), 4); i < std::ssize(steps); i += step) {
        const std::string call = shortest(records[static_cast<std::size_t>(i)].call);
        out << svg_text(40, area.y + row * (static_cast<double>(i) + 0.5) + 4, "end", i == 0 ? "step " + call : call);
    }
    for (index_t key = 0, step = detail::tick_step(length, 8); key < length; key += step) {
        const std::string text = key == 0 ? "position 0" : shortest(key);
        out << svg_text(area.x + cell * (static_cast<double>(key) + 0.5), below + 16, key == 0 ? "start" : "middle",
                        text);
    }
    out << detail::svg_key(area.x, below + 44, has_masked) << "</svg>\n";
}

UNMASK_NAMESPACE_END
