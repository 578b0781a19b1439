// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Writes text with a trained model, a few tokens at each of its calls, in any order. See --help.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <unmask/sampler/trace/trace.hpp>

#include "common_options.hpp"
#include "compare.hpp"
#include "corpus.hpp"
#include "cuda/generate_on_gpu.hpp"
#include "denoiser.hpp"
#include "device_option.hpp"
#include "page.hpp"
#include "preset_by_name.hpp"
#include "program.hpp"
#include "sampling_options.hpp"
#include "trace_file.hpp"
#include "trained_model.hpp"
#include "watched_run.hpp"
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
  --length N             tokens of the text, prompt included (default: as many as the model was trained on)
  --longer               let --length be more than that; the text is then worse
  --samples N            texts to write at once (1; with --words or --compare 20)
  --preset NAME          llada (default), dream, fast_dllm, fast_dllm_factor, dinfer_credit, dinfer_hierarchy, sdar,
                         llada2, llada21, klass, eb, mdlm, remdm, wino
  --steps N              llada, dream, klass, mdlm, remdm: calls of the model (one for each token); sdar, llada2,
                         llada21: calls for a block (one for each token)
  --block N              tokens that are filled before those after them (llada: 8; others: as published)
  --threshold P          fast_dllm, dinfer_credit, dinfer_hierarchy, sdar, llada2, llada21, klass: how probable a
                         token must be (as published)
  --temperature X        0 takes the likeliest token (1)
  --top-k N --top-p X    draw only from the N likeliest tokens, from those that make up X (all, 1; remdm: 0.9)
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
  --picture FILE.svg     of --compare: quality against calls, of presets at several speeds
  --text FILE            the training text (default: the King James Bible of Debian's bible-kjv)

Without --prompt, a text begins as a verse does. An underscore of --infill is a token: a word, or a part of one.
)";

constexpr index_t most_samples = 1 << 16;

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
    std::vector<token_t> tokens = options.has("infill")
                                      ? parse_template(codec, options.text("infill", ""), "--infill")
                                      : codec.encode(before_blank(codec, options.text("prompt", "\n")), "--prompt");
    const std::string was = "--" + text + " has " + std::to_string(tokens.size()) + " tokens";
    expects(std::ssize(tokens) <= most, was, at_most);
    if (!options.has("infill")) {
        const index_t length = options.integer("length", std::max(card.length, std::ssize(tokens)), {1, most_length});
        expects(length <= most, "--length is " + std::to_string(length), at_most);
        expects(std::ssize(tokens) <= length, was, "at most the --length, " + std::to_string(length));
        tokens.resize(static_cast<std::size_t>(length), unmask::blank);
    }
    return tokens;
}

void print_texts(const std::vector<std::vector<token_t>>& tokens, const text_codec& codec, bool words,
                 const std::string& text_path) {
    std::vector<std::string> texts;
    for (const std::vector<token_t>& each : tokens) {
        texts.push_back(codec.decode(each, blank_character));
        const std::size_t begin = texts.back().starts_with('\n') ? 1 : 0; // the end of a verse before it
        std::printf("%s%s\n", texts.size() > 1 ? "\n" : "", texts.back().c_str() + begin);
    }
    if (words) {
        const word_count count = count_known_words(texts, vocabulary_of(load_corpus(text_path).training));
        std::printf("\n%lld of %lld words (%.1f %%) occur in the training text\n", static_cast<long long>(count.known),
                    static_cast<long long>(count.words), 100.0 * count.share());
    }
}

void print_statistics(const gpu_texts& written) {
    const auto tokens = static_cast<double>(written.committed);
    std::printf("\n%lld function evaluations in %lld calls, %.2f tokens each; %.2f s on the GPU; %.0f tokens/s\n",
                static_cast<long long>(written.evaluations), static_cast<long long>(written.calls),
                tokens / static_cast<double>(std::max<index_t>(written.evaluations, 1)), written.seconds,
                tokens / written.seconds);
}

void generate(command_line& options) {
    const unmask::cpu_executor exec{threads_of(options)};
    const std::optional<precision> on_gpu = gpu_precision_of(options);
    for (const char* option : {"trace", "view", "compare"}) {
        if (on_gpu) {
            options.refuse_beside(option, "device", "a GPU says nothing before the texts are done");
        }
    }
    const bool words = options.flag("words");
    const bool compare = options.flag("compare");
    for (const char* option : {"preset", "steps", "threshold", "cache", "trace", "words"}) {
        options.refuse_beside(option, "compare", "the table has a row for every preset");
    }
    const index_t samples = options.integer("samples", words || compare ? 20 : 1, {1, most_samples});
    const bool quiet = options.flag("quiet");
    const bool view = wants_view(options) && !quiet;
    const auto seed = static_cast<std::uint64_t>(options.integer("seed", 1));
    const std::string text_path = options.text("text", "");
    const std::string trace_path = output_path(options, "trace", {".jsonl", ".html"});
    const std::string picture = output_path(options, "picture", {".svg"});
    if (!compare && !picture.empty()) {
        throw std::invalid_argument("--picture is given without --compare, whose table it shows");
    }
    const safetensors_file file = read_safetensors(options.text("checkpoint", DEFAULT_CHECKPOINT));
    const model_card card = card_of(file);
    const std::vector<token_t> text = text_to_write(options, card);
    sampling_choice choice = choice_of(options, {}, most_length);
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
        compare_presets({.common = choice, .seed = seed, .text_path = text_path, .picture = picture}, exec, model, file,
                        page);
        return;
    }

    const unmask::canvas before = page;
    unmask::trace trace;
    const text_sampler sampler = make_sampler(choice, exec, model, file);
    const unmask::statistics result = watched_run(
        page, view, "tokens",
        [&](const auto& canvas, const auto& commitments) { return cells_of(canvas, commitments, model.codec()); },
        [&](const step_observer& observer) {
            return sampler(page, seed, [&](const unmask::sampler_step& step) {
                trace(step);
                return observer(step);
            });
        });
    if (!trace_path.empty()) {
        write_trace_file(trace_path, before, trace, seed, [&](token_t token) {
            return token == model.codec().mask() ? std::string("_") : model.codec().decode({&token, 1}, '_');
        });
    }
    std::vector<std::vector<token_t>> texts;
    for (index_t sequence = 0; sequence < page.sequences(); ++sequence) {
        const auto tokens = page.tokens(sequence);
        texts.emplace_back(tokens.begin(), tokens.end());
    }
    print_texts(texts, model.codec(), words, text_path);
    if (!quiet) {
        std::printf("\n%s\n", sentence_of(result, "tokens").c_str());
    }
}

} // namespace

int main(int count, char** words) {
    return run_program("generate", help, count, words, generate);
}
