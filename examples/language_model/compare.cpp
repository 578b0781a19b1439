// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// The table of `generate --compare`.

#include "compare.hpp"

#include <algorithm>
#include <cstdio>
#include <numbers>
#include <numeric>
#include <optional>
#include <ostream>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <unmask/sampler/cache/cache_drift.hpp>
#include <unmask/sampler/likelihood/likelihood.hpp>
#include <unmask/sampler/presets.hpp>

#include "chart.hpp"
#include "corpus.hpp"
#include "output_file.hpp"
#include "page.hpp"
#include "text_judge.hpp"

namespace language_model {

namespace {

// A preset at one speed.
struct contestant {
    const char* preset;
    const char* cache = "none";
    index_t share = 1;                 // of the tokens: one call for so many
    std::optional<double> threshold{}; // a probability

    [[nodiscard]] std::string series() const {
        return preset + (cache == std::string("none") ? "" : std::string(", cache ") + cache);
    }
    [[nodiscard]] std::string name() const {
        return series() + (share > 1 ? ", 1 step for " + std::to_string(share) : "") +
               (threshold ? formatted(", threshold %g", *threshold) : "");
    }
};

// Those of one series follow each other.
const contestant contestants[] = {{"llada"},
                                  {"llada", "none", 2},
                                  {"llada", "none", 4},
                                  {"llada", "none", 8},
                                  {"dream"},
                                  {"dream", "none", 4},
                                  {"mdlm"},
                                  {"mdlm", "none", 2},
                                  {"mdlm", "none", 4},
                                  {"mdlm", "none", 8},
                                  {"remdm"},
                                  {"remdm", "none", 4},
                                  {"fast_dllm"},
                                  {"fast_dllm", "none", 1, 0.6},
                                  {"fast_dllm", "none", 1, 0.3},
                                  {"fast_dllm", "prefix"},
                                  {"fast_dllm", "dual"},
                                  {"fast_dllm_factor"},
                                  {"dinfer_credit"},
                                  {"dinfer_hierarchy"},
                                  {"klass"},
                                  {"eb"},
                                  {"wino"},
                                  {"llada2"},
                                  {"llada21"},
                                  {"sdar"},
                                  {"llada2", "exact"},
                                  {"sdar", "exact"}};

// Windows of a text as long as a page, evenly spread; fewer if the text has no more.
std::vector<std::span<const token_t>> windows_of(std::span<const token_t> tokens, index_t length, index_t count) {
    const index_t available = std::ssize(tokens) / length;
    count = std::min(count, available);
    std::vector<std::span<const token_t>> windows;
    for (index_t i = 0; i < count; ++i) {
        windows.push_back(
            tokens.subspan(static_cast<std::size_t>(i * available / count * length), static_cast<std::size_t>(length)));
    }
    return windows;
}

// Each window has an estimate of its own.
void print_bound(const unmask::cpu_executor& exec, language_model_denoiser& model,
                 const std::vector<std::span<const token_t>>& windows) {
    std::vector<double> bits;
    for (const std::span<const token_t> window : windows) {
        const unmask::likelihood_bound bound = unmask::log_likelihood(
            exec, model, {}, window, {.samples = 32, .batch = 8, .seed = static_cast<std::uint64_t>(bits.size())});
        const std::vector<index_t> lengths = model.codec().lengths(window);
        const auto characters = static_cast<double>(std::accumulate(lengths.begin(), lengths.end(), index_t{0}));
        bits.push_back(-bound.value / (std::numbers::ln2 * characters));
    }
    const estimate all = estimate_of(bits);
    std::printf("The model needs at most %.3f ± %.3f bits for a character of the held-out text (%zu windows).\n",
                all.mean, 2.0 * all.error, bits.size());
}

void print_row(const std::string& name, const std::string& speed, const text_quality& quality,
               const std::string& seconds) {
    std::printf("| %-30s | %s | %4.2f ± %4.2f | %6.1f %% | %6.1f %% | %s |\n", name.c_str(), speed.c_str(),
                quality.bits.mean, 2.0 * quality.bits.error, 100.0 * quality.known, 100.0 * quality.distinct,
                seconds.c_str());
    std::fflush(stdout);
}

// Calls for a text, those besides the model's predictions after a +.
std::string calls_of(const unmask::statistics& run, double texts) {
    const auto more = static_cast<double>(run.nfe.prefill + run.nfe.commit + run.nfe.unconditional) / texts;
    return formatted("%.1f", static_cast<double>(run.nfe.denoise) / texts) +
           (more > 0.0 ? formatted(" + %.1f", more) : "");
}

void print_drift(const comparison& how, const char* cache, const unmask::cpu_executor& exec,
                 language_model_denoiser& model, const unmask::canvas& page) {
    const auto sampler = unmask::presets::fast_dllm({.block_length = how.common.block.value_or(32)})
                             .with(draw_of(how.common), chosen_cache::of(cache));
    const unmask::cache_drift drift = unmask::measure_cache_drift(exec, sampler, model, page, how.seed);
    std::printf(
        "The %s cache of fast_dllm changed %.1f %% of the tokens; %.2f %% of the distributions had another best "
        "token, with a mean divergence of %.4f nats.\n",
        cache, 100.0 * drift.token_share(),
        100.0 * static_cast<double>(drift.other_best) / static_cast<double>(std::max<index_t>(drift.rows, 1)),
        drift.mean_divergence);
}

} // namespace

void compare_presets(const comparison& how, const unmask::cpu_executor& exec, language_model_denoiser& model,
                     const safetensors_file& file, const unmask::canvas& page) {
    const corpus text = load_corpus(how.text_path);
    const text_judge judge(text.training);
    const std::vector<token_t> held_out = model.codec().encode(text.held_out);
    const auto real = windows_of(held_out, page.length(0), page.sequences());
    if (real.empty()) {
        throw std::invalid_argument("the held-out text has " + std::to_string(held_out.size()) +
                                    " tokens, expected at least the length of a page, " +
                                    std::to_string(page.length(0)));
    }
    print_bound(exec, model,
                windows_of(held_out, std::min(model.card().length, std::ssize(held_out)), page.sequences()));
    const auto texts = static_cast<double>(page.sequences());
    std::printf(
        "\n%lld texts of %lld tokens, %d threads. Calls: of the model for a text; after a +, those that fill an "
        "exact cache, or without\nthe prompt, for guidance. Judge: bits a character of the %d-gram of the "
        "training text, ± two standard errors. Known: words of\nthe training text. Distinct: runs of four words "
        "that differ.\n\n",
        static_cast<long long>(page.sequences()), static_cast<long long>(page.length(0)), exec.workers(),
        text_judge::order);
    std::printf("| %-30s | %15s | %11s | %11s | %8s | %8s | %8s |\n", "preset", "calls", "tokens/call", "judge",
                "known", "distinct", "tokens/s");
    std::printf("|:-------------------------------|----------------:|------------:|:-----------:|---------:|---------:|"
                "---------:|\n");
    chart picture{.title = "What the judge needs for a character of a preset's texts, in bits",
                  .x_label = "calls of the model for a text",
                  .doubles = true,
                  .series = {}};
    for (const contestant& who : contestants) {
        sampling_choice choice = how.common;
        choice.preset = who.preset;
        choice.cache = who.cache;
        choice.threshold = who.threshold;
        if (who.share > 1) {
            choice.steps = std::max<index_t>(1, choice.masked / who.share);
        }
        unmask::canvas copy = page;
        const unmask::statistics run =
            make_sampler(choice, exec, model, file)(copy, how.seed, [](const auto&) { return true; });
        std::vector<std::string> written;
        for (index_t sequence = 0; sequence < copy.sequences(); ++sequence) {
            written.push_back(text_of(copy, sequence, model.codec()));
        }
        const text_quality quality = judge.quality_of(written);
        print_row(
            who.name(), formatted("%15s | %11.2f", calls_of(run, texts).c_str(), run.tpf()), quality,
            formatted("%8.0f", static_cast<double>(run.useful) / (run.seconds_in_model + run.seconds_in_sampling)));
        if (picture.series.empty() || picture.series.back().name != who.series()) {
            picture.series.push_back({who.series(), {}});
        }
        picture.series.back().points.push_back(
            {static_cast<double>(run.nfe.denoise) / texts, quality.bits.mean, 2.0 * quality.bits.error});
    }
    std::vector<std::string> held_out_texts;
    for (const std::span<const token_t> window : real) {
        held_out_texts.push_back(model.codec().decode(window));
    }
    const text_quality natural = judge.quality_of(held_out_texts);
    print_row("held-out text", formatted("%15s | %11s", "", ""), natural, formatted("%8s", ""));
    std::printf("\n");
    print_drift(how, "prefix", exec, model, page);
    print_drift(how, "dual", exec, model, page);
    if (!how.picture.empty()) {
        std::erase_if(picture.series, [](const chart_series& each) { return each.points.size() < 2; });
        picture.levels.push_back({"held-out text", natural.bits.mean});
        write_file(how.picture, [&](std::ostream& svg) { svg << svg_of(picture); });
    }
}

} // namespace language_model
