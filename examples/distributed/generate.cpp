// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Pages of the language model, written by several processes. See --help.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include <unmask/parallel/sequences.hpp>

#include "command_line.hpp"
#include "denoiser.hpp"
#include "page.hpp"
#include "preset_by_name.hpp"
#include "ranks_program.hpp"
#include "sampling_options.hpp"
#include "watched_run.hpp"

using namespace language_model;

namespace {

constexpr const char* help =
    R"(usage: mpirun -n RANKS distributed_generate --checkpoint FILE.safetensors [options]

Writes pages, each process some of them: the same pages as with one process.

  --samples N            pages (8)
  --length N             tokens of each (as many as the model was trained on)
  --preset NAME, --steps N, --block N, --threshold P, --temperature X, --top-k N, --top-p X, --guidance W, --cache KIND
                         as in ../language_model/generate
  --seed N               the same seed gives the same pages (1)
  --threads N            of each process (1)
)";

void generate(const unmask::mpi_communicator& ranks, command_line& options) {
    const unmask::cpu_executor exec{static_cast<int>(options.integer("threads", 1, {1, 1024}))};
    const safetensors_file file = read_safetensors(options.text("checkpoint", "king_james.safetensors"));
    const model_card card = card_of(file);
    const index_t samples = options.integer("samples", 8, {1, 1 << 16});
    const index_t length = options.integer("length", card.length, {1, card.length});
    const auto seed = static_cast<std::uint64_t>(options.integer("seed", 1));
    const sampling_choice choice = choice_of(options, {.masked = length}, most_length);
    options.finish();

    language_model_denoiser model(file, exec, card.length);
    unmask::canvas pages(model.vocabulary());
    const std::vector<token_t> blanks(static_cast<std::size_t>(length), unmask::blank);
    for (index_t i = 0; i < samples; ++i) {
        pages.add_infill(blanks);
    }
    const text_sampler sampler = make_sampler(choice, exec, model, file);
    const auto sample = [&](const auto& /*exec*/, const auto& /*model*/, unmask::canvas& some, std::uint64_t of_run,
                            const auto& /*observer*/) {
        return sampler(some, of_run, [](const unmask::sampler_step&) { return true; });
    };
    const unmask::statistics cost = unmask::sample_sequences(ranks, sample, exec, model, pages, seed);
    if (ranks.rank() == 0) {
        for (index_t i = 0; i < samples; ++i) {
            std::printf("%s%s\n", i > 0 ? "\n" : "", text_of(pages, i, model.codec()).c_str());
        }
        std::fprintf(stderr, "\n%d processes: %s\n", ranks.size(), sentence_of(cost, "tokens").c_str());
    }
}

} // namespace

int main(int count, char** words) {
    return distributed::run_program(help, count, words, generate);
}
