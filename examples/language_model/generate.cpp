// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Writes text with a trained model, a few characters at each of its calls, in any order. See --help.

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

#include <unistd.h>

#include <unmask/sampler/presets.hpp>
#include <unmask/sampler/sampler.hpp>

#include "command_line.hpp"
#include "corpus.hpp"
#include "denoiser.hpp"
#include "page.hpp"
#include "terminal_view.hpp"
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

  --checkpoint FILE      the model (default: king_james.safetensors beside this program's source)
  --length N             characters of the text, prompt included (default: as many as the model was trained on)
  --samples N            texts to write at once (1)
  --preset NAME          llada: the surest characters first; dream: those of least entropy; mdlm: any (llada)
  --steps N              calls of the model (one for each character)
  --block N              llada: characters that are filled before those after them (8)
  --temperature X        0 takes the likeliest character (0.7)
  --top-k N --top-p X    draw only from the N likeliest characters, from those that make up X (all, 1)
  --seed N               the same seed gives the same text (1)
  --threads N            (all cores)
  --view on|off|auto     watch the text appear; auto: if standard output is a terminal (auto)
  --quiet                the text alone: no view, no statistics
  --words                also print how many words of the samples occur in the training text (samples: 20)
  --text FILE            that text (default: the King James Bible of Debian's bible-kjv)
)";

volatile std::sig_atomic_t interrupted = 0;

// Calls use(sampler) with the one that the options describe. `masked` is the number of characters to be written.
template <class Use>
unmask::statistics with_sampler(command_line& options, index_t masked, Use&& use) {
    const std::string preset = options.text("preset", "llada");
    const index_t steps = options.integer("steps", std::max<index_t>(masked, 1));
    const unmask::categorical draw{.temperature = options.number("temperature", 0.7),
                                   .top_k = options.integer("top-k", 0),
                                   .top_p = options.number("top-p", 1.0)};
    if (preset == "llada") { // presets::llada has no top-k and top-p
        const index_t block = options.integer("block", 8);
        return use(unmask::sampler{unmask::steps{steps}, unmask::block_length{block}, unmask::confidence{},
                                   unmask::top_k{}, draw});
    }
    if (preset == "dream") {
        return use(unmask::presets::dream(
            {.steps = steps, .temperature = draw.temperature, .top_p = draw.top_p, .top_k = draw.top_k}));
    }
    if (preset == "mdlm") { // nor has presets::mdlm
        return use(unmask::sampler{unmask::steps{steps}, unmask::ancestral{}, draw});
    }
    throw std::invalid_argument("--preset is '" + preset + "', expected llada, dream or mdlm");
}

// The canvas that the options describe.
unmask::canvas make_page(command_line& options, const language_model_denoiser& model, index_t samples) {
    const tokenizer& characters = model.characters();
    std::vector<token_t> tokens;
    if (options.flag("infill")) {
        tokens = parse_template(characters, options.text("infill", ""));
    } else {
        tokens = characters.encode(options.text("prompt", ""));
        const index_t length = options.integer("length", model.card().length);
        if (length < static_cast<index_t>(tokens.size()) || length > model.card().length) {
            throw std::invalid_argument("--length is " + std::to_string(length) + ", expected " +
                                        std::to_string(tokens.size()) + " (the prompt) to " +
                                        std::to_string(model.card().length) + " (what the model was trained on)");
        }
        tokens.resize(static_cast<std::size_t>(length), unmask::blank);
    }
    unmask::canvas page(model.vocabulary());
    for (index_t i = 0; i < samples; ++i) {
        page.add_infill(tokens);
    }
    return page;
}

bool wants_view(command_line& options) {
    const std::string view = options.text("view", "auto");
    if (view != "on" && view != "off" && view != "auto") {
        throw std::invalid_argument("--view is '" + view + "', expected on, off or auto");
    }
    return !options.flag("quiet") && (view == "on" || (view == "auto" && isatty(STDOUT_FILENO) != 0));
}

// Fills the page, on the terminal if wanted. An interrupt then ends the run after the current call.
template <class Sampler>
unmask::statistics run(const Sampler& sampler, const unmask::cpu_executor& exec, language_model_denoiser& model,
                       unmask::canvas& page, std::uint64_t seed, bool view) {
    if (!view) {
        return sampler(exec, model, page, seed);
    }
    std::signal(SIGINT, [](int) { interrupted = 1; });
    std::signal(SIGTERM, [](int) { interrupted = 1; });
    terminal_view screen;
    screen.show(cells_of(page, {}, model.characters()), "");
    return sampler(exec, model, page, seed, [&](const unmask::sampler_step& step) {
        screen.show(cells_of(step.canvas, step.commitments, model.characters()),
                    "call " + std::to_string(step.call + 1) + ", " + std::to_string(step.masked) + " characters to go");
        return interrupted == 0;
    });
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

void generate(command_line& options) {
    const unmask::cpu_executor exec{static_cast<int>(options.integer("threads", 0))};
    const bool words = options.flag("words");
    const index_t samples = options.integer("samples", words ? 20 : 1);
    if (samples < 1) {
        throw std::invalid_argument("--samples is " + std::to_string(samples) + ", expected at least 1");
    }
    const bool quiet = options.flag("quiet");
    const bool view = wants_view(options);
    const auto seed = static_cast<std::uint64_t>(options.integer("seed", 1));
    const std::string text_path = options.text("text", "");
    language_model_denoiser model(read_safetensors(options.text("checkpoint", DEFAULT_CHECKPOINT)), exec);
    unmask::canvas page = make_page(options, model, samples);

    const unmask::statistics result = with_sampler(options, page.masked(0), [&](const auto& sampler) {
        options.finish();
        return run(sampler, exec, model, page, seed, view);
    });

    std::vector<std::string> texts;
    for (index_t sequence = 0; sequence < page.sequences(); ++sequence) {
        texts.push_back(text_of(page, sequence, model.characters()));
        std::printf("%s%s\n", sequence > 0 ? "\n" : "", texts.back().c_str());
    }
    if (words) {
        const word_count count = count_known_words(texts, vocabulary_of(load_corpus(text_path).training));
        std::printf("\n%lld of %lld words (%.1f %%) occur in the training text\n", static_cast<long long>(count.known),
                    static_cast<long long>(count.words), 100.0 * count.share());
    }
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
