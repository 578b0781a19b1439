// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Text from a published diffusion language model's own directory. See --help.

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

#include <unmask/analysis/report/html.hpp>
#include <unmask/analysis/sink_tracker.hpp>
#include <unmask/sampler/trace/html.hpp>
#include <unmask/sampler/trace/json.hpp>
#include <unmask/sampler/trace/trace.hpp>

#include "chat.hpp"
#include "command_line.hpp"
#include "memory_needed.hpp"
#include "model/decoder.hpp"
#include "sampling.hpp"
#include "terminal_view.hpp"
#include "token_cells.hpp"
#include "tokenizer/tokenizer.hpp"

using namespace dlm;
using examples::command_line;

namespace {

constexpr const char* help =
    R"(usage: dlm --model DIRECTORY --prompt TEXT [options]

The directory is one of LLaDA, Dream, SDAR or Fast-dLLM v2 as it was published: config.json, tokenizer.json and
model.safetensors, or model.safetensors.index.json and its shards.

  --prompt TEXT          a question, which is put as the model's chat template has it
  --system TEXT          what the system says before it (the model's own)
  --raw                  the prompt is a text's beginning, as it is, without a template
  --length N             tokens to be written (128)
  --preset NAME          the sampler (the one published with the model). For LLaDA and Dream: llada, dream, fast_dllm,
                         fast_dllm_factor, dinfer_credit, dinfer_hierarchy, sdar, llada2, llada21, klass, eb, mdlm,
                         remdm; for SDAR and Fast-dLLM v2: sdar, llada2, llada21, fast_dllm
  --steps N              llada, dream, klass, mdlm, remdm: calls of the model (one a token); sdar, llada2, llada21:
                         calls for a block (one a token); fast_dllm has none: it goes on until all is filled
  --block N              tokens that are filled before those after them (llada: 32)
  --threshold P          how probable a token must be (as published)
  --temperature X        0 takes the likeliest token (0)
  --top-k N --top-p X    draw only from the N likeliest tokens, from those that make up X (all, 1)
  --guidance W           classifier-free guidance, in LLaDA's scale (0: none)
  --cache KIND           LLaDA and Dream: none, prefix or dual, which change the text (none)
  --seed N               the same seed gives the same text (1)
  --threads N            (all cores)
  --memory               say how much memory it takes, and end
  --tokens               print the prompt's tokens, and end
  --view on|off|auto     watch the text appear; auto: if standard output is a terminal (auto)
  --trace FILE           write down what happened: .jsonl for programs, .html to look at
  --sinks FILE.html      where attention went, layer by layer and call by call; takes half as long again
  --quiet                the text alone: no view, no statistics
)";

constexpr index_t most_threads = 1024;
constexpr index_t most_tokens = 1 << 20;

volatile std::sig_atomic_t interrupted = 0;

template <class Read>
auto given(command_line& options, const char* name, const Read& read) {
    return options.has(name) ? std::optional(read(name)) : std::nullopt;
}

language_model::sampling_choice choice_of(command_line& options, const model_config& config) {
    const auto count = [&](const char* name) { return options.integer(name, 1, {1, most_tokens}); };
    const auto number = [&](const char* name) { return options.number(name, 1.0); };
    language_model::sampling_choice choice;
    choice.preset = options.text("preset", preset_of(config));
    choice.masked = options.integer("length", 128, {1, most_tokens});
    choice.steps = given(options, "steps", count);
    choice.block = given(options, "block", count);
    choice.threshold = given(options, "threshold", number);
    choice.temperature = options.number("temperature", 0.0);
    choice.top_k = options.integer("top-k", 0, {0});
    choice.top_p = given(options, "top-p", number);
    choice.guidance = options.number("guidance", 0.0);
    choice.cache = options.text("cache", "none");
    return choice;
}

std::vector<token_t> prompt_of(command_line& options, const model_config& config, const tokenizer& words) {
    options.refuse_beside("system", "raw", "a raw prompt has no template");
    const std::string text = options.text("prompt", "");
    const std::string system = options.text("system", "");
    return options.flag("raw") ? words.encode(text, frame_tokens::as_trained)
                               : words.encode(chat_prompt(config, text, system));
}

// Fills the page, on the terminal if wanted. An interrupt then ends the run after the current call.
unmask::statistics run(const language_model::text_sampler& sampler, const tokenizer& words, unmask::canvas& page,
                       std::uint64_t seed, bool view, unmask::trace& trace, unmask::sink_tracker* tracker) {
    std::optional<examples::terminal_view> screen;
    if (view) {
        std::signal(SIGINT, [](int) { interrupted = 1; });
        std::signal(SIGTERM, [](int) { interrupted = 1; });
        screen.emplace();
        screen->show(token_cells(page, {}, words), "reading the prompt");
    }
    return sampler(page, seed, [&](const unmask::sampler_step& step) {
        trace(step);
        if (tracker != nullptr) {
            (*tracker)(step);
        }
        if (screen) {
            screen->show(token_cells(step.canvas, step.commitments, words), "call " + std::to_string(step.call + 1) +
                                                                                ", " + std::to_string(step.masked) +
                                                                                " tokens to go");
        }
        return interrupted == 0;
    });
}

bool wants_view(command_line& options) {
    const std::string view = options.text("view", "auto");
    if (view != "on" && view != "off" && view != "auto") {
        throw std::invalid_argument("--view is '" + view + "', expected on, off or auto");
    }
    return view == "on" || (view == "auto" && isatty(STDOUT_FILENO) != 0);
}

std::string expect_suffix(command_line& options, const char* name, std::initializer_list<const char*> suffixes) {
    std::string path = options.text(name, "");
    const auto fits = [&](const char* suffix) { return path.ends_with(suffix); };
    if (!path.empty() && std::none_of(suffixes.begin(), suffixes.end(), fits)) {
        throw std::invalid_argument(std::string("--") + name + " is '" + path + "', expected a name that ends in " +
                                    *suffixes.begin() + (suffixes.size() > 1 ? " or .html" : ""));
    }
    return path;
}

void write_trace_file(const std::string& path, const unmask::canvas& before, const unmask::trace& trace,
                      std::uint64_t seed, const tokenizer& words) {
    std::ofstream file(path, std::ios::binary);
    if (path.ends_with(".html")) {
        unmask::write_html(file, before, trace,
                           [&](token_t token) { return words.decode({&token, 1}, /*show_special=*/true); });
    } else {
        const std::vector<index_t> lengths = {before.length(0)};
        unmask::write_trace(file, {.seed = seed, .lengths = lengths, .what = trace});
    }
    if (!file.flush()) {
        throw std::runtime_error("cannot write " + path);
    }
}

void print_statistics(const unmask::statistics& result) {
    const double seconds = result.seconds_in_model + result.seconds_in_sampling;
    std::printf(
        "\n%lld function evaluations, %.2f tokens each; %.2f s in the model, %.2f s in sampling; %.2f tokens/s%s\n",
        static_cast<long long>(result.nfe.denoise), result.tpf(), result.seconds_in_model, result.seconds_in_sampling,
        seconds > 0.0 ? static_cast<double>(result.committed) / seconds : 0.0,
        result.stopped_early ? "; interrupted" : "");
}

void generate(command_line& options) {
    const std::string folder = options.text("model", "");
    if (folder.empty()) {
        throw std::invalid_argument("--model is missing, expected a model's directory");
    }
    const unmask::cpu_executor exec{static_cast<int>(options.integer("threads", 0, {0, most_threads}))};
    const model_config config = read_model_config(folder + "/config.json");
    const tokenizer words(folder + "/tokenizer.json");
    const language_model::sampling_choice choice = choice_of(options, config);
    const std::vector<token_t> prompt = prompt_of(options, config, words);
    const auto seed = static_cast<std::uint64_t>(options.integer("seed", 1));
    const std::string trace_path = expect_suffix(options, "trace", {".jsonl", ".html"});
    const std::string sinks_path = expect_suffix(options, "sinks", {".html"});
    const bool quiet = options.flag("quiet");
    const bool view = wants_view(options) && !quiet;
    const bool only_memory = options.flag("memory");
    const bool only_tokens = options.flag("tokens");
    options.finish();
    if (only_tokens) {
        for (const token_t token : prompt) {
            std::printf("%d ", token);
        }
        std::printf("\n");
        return;
    }

    const unmask::safetensors_file file = unmask::read_safetensors(folder);
    if (!quiet || only_memory) {
        const index_t length = std::ssize(prompt) + choice.masked;
        const memory_needed memory(config, file, length, choice.masked, choice.cache != "none");
        std::fprintf(stderr, "%s\n", memory.sentence().c_str());
    }
    if (only_memory) {
        return;
    }
    const decoder weights(config, file);
    std::optional<unmask::sink_tracker> tracker;
    if (!sinks_path.empty()) {
        tracker.emplace();
    }
    openblas_set_num_threads(1); // the executor's threads have a part of each product
    const auto sampler = make_sampler(choice, weights, exec, tracker ? &*tracker : nullptr);
    unmask::canvas page({static_cast<token_t>(config.vocabulary), config.mask, config.end});
    page.add(prompt, choice.masked);
    const unmask::canvas before = page;
    unmask::trace trace;
    const auto result = run(sampler, words, page, seed, view, trace, tracker ? &*tracker : nullptr);
    const auto written = page.tokens(0).first(static_cast<std::size_t>(page.text_end(0))).subspan(prompt.size());
    std::printf("%s\n", words.decode(written).c_str());
    if (!trace_path.empty()) {
        write_trace_file(trace_path, before, trace, seed, words);
    }
    if (tracker) {
        std::ofstream page_file(sinks_path, std::ios::binary);
        const std::vector<unmask::sink_run> runs = {
            {config.family, {tracker->records().begin(), tracker->records().end()}}};
        unmask::write_sink_html(page_file, runs,
                                [&](token_t token) { return words.decode({&token, 1}, /*show_special=*/true); });
        if (!page_file.flush()) {
            throw std::runtime_error("cannot write " + sinks_path);
        }
    }
    if (!quiet) {
        print_statistics(result);
    }
}

} // namespace

int main(int count, char** arguments) {
    try {
        command_line options(count, arguments);
        if (options.flag("help")) {
            std::fputs(help, stdout);
            return 0;
        }
        generate(options);
        return interrupted != 0 ? 130 : 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "dlm: %s\n", error.what());
        return 1;
    }
}
