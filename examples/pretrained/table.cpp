// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "table.hpp"

#include "chart.hpp"
#include "formatted.hpp"

namespace pretrained {

namespace {

using examples::formatted;

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
    examples::chart picture{.title = "AntiBERTy's loss of what Sapiens wrote, in nats, with its standard error",
                            .x_label = "calls of the model for a text",
                            .doubles = true,
                            .series = {},
                            .levels = {{"chains of real antibodies", natural.mean}}};
    for (const table_series& series : table) {
        picture.series.push_back({series.name, {}});
        for (const table_row& row : series.rows) {
            if (row.loss) {
                picture.series.back().points.push_back({row.calls, row.loss->mean, row.loss->error});
            }
        }
    }
    return examples::svg_of(picture);
}

} // namespace pretrained
