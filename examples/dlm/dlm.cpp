// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Text from a published diffusion language model's own directory. See --help.

#include <cstdint>
#include <cstdio>
#include <optional>
#include <ostream>
#include <span>
#include <string>
#include <vector>

#include <unmask/analysis/report/html.hpp>
#include <unmask/analysis/sink_tracker.hpp>
#include <unmask/sampler/trace/trace.hpp>

#include "common_options.hpp"
#include "memory_needed.hpp"
#include "model/decoder.hpp"
#include "output_file.hpp"
#include "program.hpp"
#include "request.hpp"
#include "sampling.hpp"
#include "token_cells.hpp"
#include "tokenizer/tokenizer.hpp"
#include "trace_file.hpp"
#include "watched_run.hpp"

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

// Fills the page, on the terminal if wanted. The tracker may be null.
unmask::statistics run(const language_model::text_sampler& sampler, const tokenizer& words, unmask::canvas& page,
                       std::uint64_t seed, bool view, unmask::trace& trace, unmask::sink_tracker* tracker) {
    const auto cells = [&](const unmask::canvas& canvas, std::span<const unmask::commitment> commitments) {
        return token_cells(canvas, commitments, words);
    };
    return examples::watched_run(page, view, "tokens", cells, [&](const language_model::step_observer& observer) {
        return sampler(page, seed, [&](const unmask::sampler_step& step) {
            trace(step);
            if (tracker != nullptr) {
                (*tracker)(step);
            }
            return observer(step);
        });
    });
}

void generate(command_line& options) {
    const unmask::cpu_executor exec{examples::threads_of(options)};
    const request wanted = request_of(options);
    const std::string trace_path = examples::output_path(options, "trace", {".jsonl", ".html"});
    const std::string sinks_path = examples::output_path(options, "sinks", {".html"});
    const bool quiet = options.flag("quiet");
    const bool view = examples::wants_view(options) && !quiet;
    const bool only_memory = options.flag("memory");
    const bool only_tokens = options.flag("tokens");
    options.finish();
    if (only_tokens) {
        for (const token_t token : wanted.prompt) {
            std::printf("%d ", token);
        }
        std::printf("\n");
        return;
    }

    const unmask::safetensors_file file = unmask::read_safetensors(wanted.folder);
    if (!quiet || only_memory) {
        const index_t masked = wanted.choice.masked;
        const memory_needed memory(wanted.config, file, std::ssize(wanted.prompt) + masked, masked,
                                   wanted.choice.cache != "none");
        std::fprintf(stderr, "%s\n", memory.sentence().c_str());
    }
    if (only_memory) {
        return;
    }
    const decoder weights(wanted.config, file);
    std::optional<unmask::sink_tracker> tracker;
    if (!sinks_path.empty()) {
        tracker.emplace();
    }
    openblas_set_num_threads(1); // the executor's threads have a part of each product
    const auto sampler = make_sampler(wanted.choice, weights, exec, tracker ? &*tracker : nullptr);
    unmask::canvas page = wanted.page();
    const unmask::canvas before = page;
    unmask::trace trace;
    const auto result = run(sampler, wanted.words, page, wanted.seed, view, trace, tracker ? &*tracker : nullptr);
    std::printf("%s\n", wanted.written_on(page).c_str());
    const auto token_text = [&](token_t token) { return wanted.words.decode({&token, 1}, /*show_special=*/true); };
    if (!trace_path.empty()) {
        examples::write_trace_file(trace_path, before, trace, wanted.seed, token_text);
    }
    if (tracker) {
        const std::vector<unmask::sink_run> runs = {
            {wanted.config.family, {tracker->records().begin(), tracker->records().end()}}};
        examples::write_file(sinks_path, [&](std::ostream& file) { unmask::write_sink_html(file, runs, token_text); });
    }
    if (!quiet) {
        std::printf("\n%s\n", examples::sentence_of(result, "tokens").c_str());
    }
}

} // namespace

int main(int count, char** arguments) {
    return examples::run_program("dlm", help, count, arguments, generate);
}
