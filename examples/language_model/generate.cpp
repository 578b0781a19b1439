// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Writes text with a trained model, a few characters at each of its calls, in any order. See --help.

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <fstream>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <unistd.h>

#include <unmask/sampler/trace/html.hpp>
#include <unmask/sampler/trace/json.hpp>
#include <unmask/sampler/trace/trace.hpp>

#include "command_line.hpp"
#include "compare.hpp"
#include "corpus.hpp"
#include "cuda/generate_on_gpu.hpp"
#include "denoiser.hpp"
#include "device_option.hpp"
#include "page.hpp"
#include "preset_by_name.hpp"
#include "terminal_view.hpp"
#include "trained_model.hpp"
#include "words.hpp"

#ifndef DEFAULT_CHECKPOINT
#define DEFAULT_CHECKPOINT "king_james.safetensors"
#endif

using namespace language_model;

namespace {

constexpr const char* help =
    R"(usage: generate [options]                                 write a page
       generate --prompt "And it came to pass" [options]  go on from here
       generate --infill "In the ____ God created"        fill in the underscores
       generate --compare [options]                       every preset in a table

  --checkpoint FILE      the model (default: king_james.safetensors beside this program's source)
  --length N             characters of the text, prompt included (default: as many as the model was trained on)
  --longer               let --length be more than that; the text is then worse
  --samples N            texts to write at once (1; with --words or --compare 20)
  --preset NAME          llada (default), dream, fast_dllm, fast_dllm_factor, dinfer_credit, dinfer_hierarchy, sdar,
                         llada2, llada21, klass, eb, mdlm, remdm, wino
  --steps N              llada, dream, klass, mdlm, remdm: calls of the model (one for each character); sdar, llada2,
                         llada21: calls for a block (one for each character)
  --block N              characters that are filled before those after them (llada: 8; others: as published)
  --threshold P          fast_dllm, dinfer_credit, dinfer_hierarchy, sdar, llada2, llada21, klass: how probable a
                         character must be (as published)
  --temperature X        0 takes the likeliest character (0.7)
  --top-k N --top-p X    draw only from the N likeliest characters, from those that make up X (all, 1; remdm: 0.9)
  --guidance W           classifier-free guidance against the text without its prompt, in LLaDA's scale (0: none)
  --cache KIND           none; prefix, dual: keep keys and values, which changes the text; exact, with sdar, llada2 and
                         llada21: run the model in blocks, for which this one was not trained (none)
  --seed N               the same seed gives the same text (1)
  --threads N            (all cores)
  --device NAME          cpu or cuda (cpu). On the GPU, without cache and guidance: llada, dream, fast_dllm,
                         fast_dllm_factor, dinfer_hierarchy, sdar, llada2, klass, eb, mdlm
  --precision NAME       of the model: float, or bfloat16 on the GPU (cpu: float; cuda: bfloat16)
  --view on|off|auto     watch the text appear; auto: if standard output is a terminal (auto)
  --trace FILE           write down what happened: .jsonl for programs, .html to look at
  --quiet                the text alone: no view, no statistics
  --words                also print how many words of the samples occur in the training text
  --text FILE            that text (default: the King James Bible of Debian's bible-kjv)
)";

constexpr index_t most_threads = 1024;
constexpr index_t most_samples = 1 << 16;

volatile std::sig_atomic_t interrupted = 0;

// What `read` reads of an option, if it was given.
template <class Read>
auto given(command_line& options, const char* name, const Read& read) {
    return options.has(name) ? std::optional(read(name)) : std::nullopt;
}

// How the options say to sample.
sampling_choice choice_of(command_line& options) {
    const auto count = [&](const char* name) { return options.integer(name, 1, {1, most_length}); };
    const auto number = [&](const char* name) { return options.number(name, 1.0); };
    sampling_choice choice;
    choice.preset = options.text("preset", "llada");
    choice.steps = given(options, "steps", count);
    choice.block = given(options, "block", count);
    choice.threshold = given(options, "threshold", number);
    choice.temperature = options.number("temperature", 0.7);
    choice.top_k = options.integer("top-k", 0, {0});
    choice.top_p = given(options, "top-p", number);
    choice.guidance = options.number("guidance", 0.0);
    choice.cache = options.text("cache", "none");
    return choice;
}

// The text that the options describe, blank where it is to be written.
std::vector<token_t> text_to_write(command_line& options, const model_card& card) {
    options.refuse_beside("prompt", "infill", "a text to fill in holds its own beginning");
    options.refuse_beside("length", "infill", "a text to fill in is as long as it is");
    const auto expects = [](bool condition, const std::string& was, const std::string& expected) {
        if (!condition) {
            throw std::invalid_argument(was + ", expected " + expected);
        }
    };
    const text_codec codec(card.tokens);
    const bool longer = options.flag("longer");
    const index_t most = longer ? most_length : card.length;
    const std::string at_most =
        "at most " + std::to_string(most) + (longer ? "" : " (what the model was trained on), or --longer");
    const std::string text = options.has("infill") ? "infill" : "prompt";
    const std::string was = "--" + text + " has " + std::to_string(options.text(text, "").size()) + " characters";
    std::vector<token_t> tokens = options.has("infill") ? parse_template(codec, options.text(text, ""), "--infill")
                                                        : codec.encode(options.text(text, ""), "--prompt");
    expects(std::ssize(tokens) <= most, was, at_most);
    if (!options.has("infill")) {
        const index_t length = options.integer("length", std::max(card.length, std::ssize(tokens)), {1, most_length});
        expects(length <= most, "--length is " + std::to_string(length), at_most);
        expects(std::ssize(tokens) <= length, was, "at most the --length, " + std::to_string(length));
        tokens.resize(static_cast<std::size_t>(length), unmask::blank);
    }
    return tokens;
}

bool wants_view(command_line& options) {
    const std::string view = options.text("view", "auto");
    if (view != "on" && view != "off" && view != "auto") {
        throw std::invalid_argument("--view is '" + view + "', expected on, off or auto");
    }
    return !options.flag("quiet") && (view == "on" || (view == "auto" && isatty(STDOUT_FILENO) != 0));
}

// Fills the page, on the terminal if wanted. An interrupt then ends the run after the current call.
unmask::statistics run(const text_sampler& sampler, const language_model_denoiser& model, unmask::canvas& page,
                       std::uint64_t seed, bool view, unmask::trace& trace) {
    if (!view) {
        return sampler(page, seed, [&](const unmask::sampler_step& step) {
            trace(step);
            return true;
        });
    }
    std::signal(SIGINT, [](int) { interrupted = 1; });
    std::signal(SIGTERM, [](int) { interrupted = 1; });
    terminal_view screen;
    screen.show(cells_of(page, {}, model.codec()), "");
    return sampler(page, seed, [&](const unmask::sampler_step& step) {
        trace(step);
        screen.show(cells_of(step.canvas, step.commitments, model.codec()),
                    "call " + std::to_string(step.call + 1) + ", " + std::to_string(step.masked) + " characters to go");
        return interrupted == 0;
    });
}

// Writes a trace as the file's name says. `before` is the canvas before the run.
void write_trace_file(const std::string& path, const unmask::canvas& before, const unmask::trace& trace,
                      std::uint64_t seed, const text_codec& codec) {
    std::ofstream file(path, std::ios::binary);
    if (path.ends_with(".html")) {
        unmask::write_html(file, before, trace, [&](token_t token) {
            return token == codec.mask() ? std::string("_") : codec.decode({&token, 1}, '_');
        });
    } else {
        std::vector<index_t> lengths;
        for (index_t sequence = 0; sequence < before.sequences(); ++sequence) {
            lengths.push_back(before.length(sequence));
        }
        unmask::write_trace(file, {.seed = seed, .lengths = lengths, .what = trace});
    }
    if (!file.flush()) {
        throw std::runtime_error("cannot write " + path);
    }
}

void print_texts(const std::vector<std::vector<token_t>>& tokens, const text_codec& codec, bool words,
                 const std::string& text_path) {
    std::vector<std::string> texts;
    for (const std::vector<token_t>& each : tokens) {
        texts.push_back(codec.decode(each, blank_character));
        std::printf("%s%s\n", texts.size() > 1 ? "\n" : "", texts.back().c_str());
    }
    if (words) {
        const word_count count = count_known_words(texts, vocabulary_of(load_corpus(text_path).training));
        std::printf("\n%lld of %lld words (%.1f %%) occur in the training text\n", static_cast<long long>(count.known),
                    static_cast<long long>(count.words), 100.0 * count.share());
    }
}

void print_statistics(const unmask::statistics& result) {
    const double seconds = result.seconds_in_model + result.seconds_in_sampling;
    std::printf("\n%lld function evaluations in %lld calls, %.2f characters each; %.2f s in the model, %.2f s in "
                "sampling; %.0f characters/s%s\n",
                static_cast<long long>(result.nfe.denoise), static_cast<long long>(result.calls), result.tpf(),
                result.seconds_in_model, result.seconds_in_sampling,
                seconds > 0.0 ? static_cast<double>(result.committed) / seconds : 0.0,
                result.stopped_early ? "; interrupted" : "");
}

void print_statistics(const gpu_texts& written) {
    const auto characters = static_cast<double>(written.committed);
    std::printf("\n%lld function evaluations in %lld calls, %.2f characters each; %.2f s on the GPU; %.0f "
                "characters/s\n",
                static_cast<long long>(written.evaluations), static_cast<long long>(written.calls),
                characters / static_cast<double>(std::max<index_t>(written.evaluations, 1)), written.seconds,
                characters / written.seconds);
}

void generate(command_line& options) {
    const unmask::cpu_executor exec{static_cast<int>(options.integer("threads", 0, {0, most_threads}))};
    const std::optional<precision> on_gpu = gpu_precision_of(options);
    for (const char* option : {"trace", "view", "compare"}) {
        if (on_gpu) {
            options.refuse_beside(option, "device", "a GPU says nothing before the texts are done");
        }
    }
    const bool words = options.flag("words");
    const bool compare = options.flag("compare");
    for (const char* option : {"preset", "cache", "trace", "words"}) {
        options.refuse_beside(option, "compare", "the table has a row for every preset");
    }
    const index_t samples = options.integer("samples", words || compare ? 20 : 1, {1, most_samples});
    const bool quiet = options.flag("quiet");
    const bool view = wants_view(options);
    const auto seed = static_cast<std::uint64_t>(options.integer("seed", 1));
    const std::string text_path = options.text("text", "");
    const std::string trace_path = options.text("trace", "");
    if (!trace_path.empty() && !trace_path.ends_with(".jsonl") && !trace_path.ends_with(".html")) {
        throw std::invalid_argument("--trace is '" + trace_path + "', expected a name that ends in .jsonl or .html");
    }
    const safetensors_file file = read_safetensors(options.text("checkpoint", DEFAULT_CHECKPOINT));
    const model_card card = card_of(file);
    const std::vector<token_t> text = text_to_write(options, card);
    sampling_choice choice = choice_of(options);
    options.finish();
    if (on_gpu) {
        choice.masked = std::count(text.begin(), text.end(), unmask::blank);
        check(choice);
        const gpu_texts written = generate_on_gpu(trained_model_of(file), choice, text, samples, seed, *on_gpu);
        print_texts(written.texts, text_codec(card.tokens), words, text_path);
        if (!quiet) {
            print_statistics(written);
        }
        return;
    }

    language_model_denoiser model(file, exec, std::max(card.length, std::ssize(text)));
    unmask::canvas page(model.vocabulary());
    for (index_t i = 0; i < samples; ++i) {
        page.add_infill(text);
    }
    choice.masked = page.masked(0);
    if (compare) {
        compare_presets({.common = choice, .seed = seed, .text_path = text_path}, exec, model, file, page);
        return;
    }

    const unmask::canvas before = page;
    unmask::trace trace;
    const unmask::statistics result = run(make_sampler(choice, exec, model, file), model, page, seed, view, trace);
    if (!trace_path.empty()) {
        write_trace_file(trace_path, before, trace, seed, model.codec());
    }
    std::vector<std::vector<token_t>> texts;
    for (index_t sequence = 0; sequence < page.sequences(); ++sequence) {
        const auto tokens = page.tokens(sequence);
        texts.emplace_back(tokens.begin(), tokens.end());
    }
    print_texts(texts, model.codec(), words, text_path);
    if (!quiet) {
        print_statistics(result);
    }
}

} // namespace

int main(int count, char** words) {
    try {
        command_line options(count, words);
        if (options.flag("help")) {
            std::fputs(help, stdout);
            return 0;
        }
        generate(options);
        return interrupted != 0 ? 130 : 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "generate: %s\n", error.what());
        return 1;
    }
}
