// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "table.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdio>

namespace pretrained {

namespace {

template <class... Values>
std::string formatted(const char* format, Values... values) {
    std::array<char, 512> text{};
    std::snprintf(text.data(), text.size(), format, values...);
    return text.data();
}

std::vector<table_series> all_series() {
    const std::vector<index_t> steps = {1, 2, 4, 8, 16, 32, 64, 125};
    const auto by_steps = [&](const char* name, next_position order) {
        table_series series{name, {}};
        for (const index_t count : steps) {
            series.rows.push_back({.settings = {.order = order, .steps = count}, .quality = {}, .loss = {}});
        }
        return series;
    };
    const auto by_bound = [&](const char* name, next_position order, selection selector, std::vector<double> bounds) {
        table_series series{name, {}};
        for (const double bound : bounds) {
            series.rows.push_back({.settings = {.order = order, .selector = selector, .steps = 125, .bound = bound},
                                   .quality = {},
                                   .loss = {}});
        }
        return series;
    };
    return {by_steps("top_k, the most confident", next_position::confident),
            by_steps("top_k, the lowest entropy", next_position::low_entropy),
            by_steps("top_k, in random order", next_position::random),
            by_bound("threshold, the most confident", next_position::confident, selection::threshold,
                     {0.2, 0.4, 0.6, 0.8, 0.95}),
            by_bound("entropy_bound, the lowest entropy", next_position::low_entropy, selection::entropy_bound,
                     {32.0, 8.0, 2.0, 0.5})};
}

std::string setting_of(const generation_settings& settings) {
    return settings.selector == selection::top_k
               ? std::to_string(settings.steps) + (settings.steps == 1 ? " step" : " steps")
               : formatted("bound %g", settings.bound);
}

} // namespace

std::vector<table_series> measure_table(const loaded_model& model, const judge* judge, const unmask::cpu_executor& exec,
                                        index_t samples, std::uint64_t seed) {
    std::vector<table_series> table = all_series();
    encoder_denoiser denoiser(model, exec);
    for (table_series& series : table) {
        for (table_row& row : series.rows) {
            unmask::canvas page = empty_antibodies(model, samples);
            const unmask::statistics run = generate(row.settings, denoiser, model, exec, page, seed);
            row.calls = static_cast<double>(run.nfe.denoise) / static_cast<double>(samples);
            std::vector<std::string> texts;
            for (index_t i = 0; i < samples; ++i) {
                texts.push_back(model.tokens.decode(page.tokens(i)));
            }
            row.quality = quality_of(texts);
            if (judge != nullptr) {
                row.loss = estimate_of(judge->losses(texts, 1));
            }
        }
    }
    return table;
}

std::string table_text(const std::vector<table_series>& table, const std::optional<estimate>& natural) {
    const auto shown = [](const std::optional<estimate>& loss) {
        return loss ? formatted("%.2f ± %.2f", loss->mean, loss->error) : std::string("–");
    };
    std::string text = "| selector, order | setting | calls | judge's loss, nats | frame and J motif | distinct |\n"
                       "|---|---|---|---|---|---|\n";
    for (const table_series& series : table) {
        for (const table_row& row : series.rows) {
            text += "| " + series.name + " | " + setting_of(row.settings) + formatted(" | %.1f | ", row.calls) +
                    shown(row.loss) +
                    formatted(" | %zu of %zu | %zu |\n", row.quality.framed, row.quality.texts, row.quality.distinct);
        }
    }
    return text + "| real antibodies | | | " + shown(natural) + " | | |\n";
}

std::string table_picture(const std::vector<table_series>& table, const estimate& natural) {
    constexpr std::array<const char*, 5> colours = {"#1b6ca8", "#4f9d69", "#c0392b", "#8e5ea2", "#d98c1f"};
    constexpr double left = 60.0;
    constexpr double right = 620.0;
    constexpr double top = 30.0;
    constexpr double bottom = 340.0;
    double most = natural.mean;
    for (const table_series& series : table) {
        for (const table_row& row : series.rows) {
            most = std::max(most, row.loss ? row.loss->mean + row.loss->error : 0.0);
        }
    }
    const double high = std::ceil(2.0 * most) / 2.0;
    const auto x_of = [&](double calls) { return left + (right - left) * std::log2(calls) / 7.0; };
    const auto y_of = [&](double loss) { return bottom - (bottom - top) * loss / high; };
    std::string svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 640 500\" font-family=\"sans-serif\" "
                      "font-size=\"12\">\n<rect width=\"640\" height=\"500\" fill=\"#fff\"/>\n";
    for (int power = 0; power <= 7; ++power) {
        const double x = x_of(std::exp2(power));
        svg += formatted("<path d=\"M%.1f %.1fV%.1f\" stroke=\"#ddd\"/><text x=\"%.1f\" y=\"%.1f\" "
                         "text-anchor=\"middle\">%d</text>\n",
                         x, top, bottom, x, bottom + 16.0, 1 << power);
    }
    for (double loss = 0.0; loss <= high; loss += 0.5) {
        svg += formatted("<path d=\"M%.1f %.1fH%.1f\" stroke=\"#ddd\"/><text x=\"%.1f\" y=\"%.1f\" "
                         "text-anchor=\"end\">%.1f</text>\n",
                         left, y_of(loss), right, left - 6.0, y_of(loss) + 4.0, loss);
    }
    svg += formatted("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">calls of the model for a text</text>\n",
                     (left + right) / 2.0, bottom + 34.0);
    svg += "<text x=\"10\" y=\"18\">AntiBERTy's loss of what Sapiens wrote, in nats, with its standard error</text>\n";
    svg += formatted("<path d=\"M%.1f %.1fH%.1f\" stroke=\"#000\" stroke-dasharray=\"4 4\"/>\n", left,
                     y_of(natural.mean), right);
    for (std::size_t i = 0; i < table.size(); ++i) {
        const char* colour = colours[i % colours.size()];
        std::string path;
        for (const table_row& row : table[i].rows) {
            if (!row.loss) {
                continue;
            }
            const double x = x_of(row.calls);
            path += formatted("%s%.1f %.1f", path.empty() ? "M" : "L", x, y_of(row.loss->mean));
            svg += formatted("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"/><path d=\"M%.1f %.1fV%.1f\" "
                             "stroke=\"%s\"/>\n",
                             x, y_of(row.loss->mean), colour, x, y_of(row.loss->mean + row.loss->error),
                             y_of(row.loss->mean - row.loss->error), colour);
        }
        const double y = 394.0 + 17.0 * static_cast<double>(i);
        svg += "<path d=\"" + path + "\" fill=\"none\" stroke=\"" + colour + "\" stroke-width=\"1.5\"/>\n";
        svg += formatted("<path d=\"M%.1f %.1fh24\" stroke=\"%s\" stroke-width=\"2\"/>", left, y, colour);
        svg += formatted("<text x=\"%.1f\" y=\"%.1f\">", left + 32.0, y + 4.0) + table[i].name + "</text>\n";
    }
    svg += formatted("<path d=\"M%.1f %.1fh24\" stroke=\"#000\" stroke-dasharray=\"4 4\"/>", left, 479.0);
    return svg + formatted("<text x=\"%.1f\" y=\"483\">chains of real antibodies</text>\n</svg>\n", left + 32.0);
}

} // namespace pretrained
