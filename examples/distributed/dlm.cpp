// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Text from LLaDA or Dream, with the positions of the canvas divided among processes. See --help.

#include <cstdint>
#include <cstdio>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "blas.hpp"
#include "command_line.hpp"
#include "model/decoder.hpp"
#include "model/model_config.hpp"
#include "prompt_options.hpp"
#include "ranks_program.hpp"
#include "sampling.hpp"
#include "sampling_options.hpp"
#include "sharded_pass.hpp"
#include "tokenizer/tokenizer.hpp"
#include "watched_run.hpp"

using namespace dlm;
using examples::command_line;

namespace {

constexpr const char* help =
    R"(usage: mpirun -n RANKS distributed_dlm --model DIRECTORY --prompt TEXT [options]

Writes the text of ../dlm/dlm, up to rounding, with as many activations less in each process as there are processes.
The weights are mapped by all of them, and lie in memory once on each machine.

  --model, --prompt, --system, --raw, --length, --preset, --steps, --block, --threshold, --temperature, --top-k,
  --top-p, --guidance, --seed        as in ../dlm/dlm, for LLaDA and Dream
  --threads N                        of each process (1)
)";

constexpr index_t most_tokens = 1 << 20;

void generate(const unmask::mpi_communicator& ranks, command_line& options) {
    const std::string folder = options.text("model", "");
    if (folder.empty()) {
        throw std::invalid_argument("--model is missing, expected a model's directory");
    }
    const unmask::cpu_executor exec{static_cast<int>(options.integer("threads", 1, {1, 1024}))};
    const model_config config = read_model_config(folder + "/config.json");
    const tokenizer words(folder + "/tokenizer.json");
    const language_model::sampling_choice choice = language_model::choice_of(
        options,
        {.preset = preset_of(config), .masked = options.integer("length", 128, {1, most_tokens}), .temperature = 0.0},
        most_tokens);
    const std::vector<token_t> prompt = prompt_of(options, config, words);
    const auto seed = static_cast<std::uint64_t>(options.integer("seed", 1));
    options.finish();

    const unmask::safetensors_file file = unmask::read_safetensors(folder);
    const decoder weights(config, file);
    openblas_set_num_threads(1); // the executor's threads have a part of each product
    distributed::sharded_pass pass(ranks, weights, exec);
    const auto sampler = make_sampler(choice, weights, exec, [&](const auto& text, const auto& positions, auto logits) {
        pass(text, positions, logits);
    });
    unmask::canvas page({static_cast<token_t>(config.vocabulary), config.mask, config.end});
    page.add(prompt, choice.masked);
    const auto cost = sampler(page, seed, [](const unmask::sampler_step&) { return true; });
    if (ranks.rank() == 0) {
        const auto written = page.tokens(0).first(static_cast<std::size_t>(page.text_end(0))).subspan(prompt.size());
        std::printf("%s\n", words.decode(written).c_str());
        std::fprintf(stderr, "\n%d processes: %s\n", ranks.size(), examples::sentence_of(cost, "tokens").c_str());
    }
}

} // namespace

int main(int count, char** arguments) {
    return distributed::run_program(help, count, arguments, generate);
}
