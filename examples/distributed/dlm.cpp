// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Text from LLaDA or Dream, with the positions of the canvas divided among processes. See --help.

#include <cstdio>

#include "blas.hpp"
#include "command_line.hpp"
#include "model/decoder.hpp"
#include "ranks_program.hpp"
#include "request.hpp"
#include "sampling.hpp"
#include "sharded_pass.hpp"
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

void generate(const unmask::mpi_communicator& ranks, command_line& options) {
    const unmask::cpu_executor exec{static_cast<int>(options.integer("threads", 1, {1, 1024}))};
    const request wanted = request_of(options);
    options.finish();

    const unmask::safetensors_file file = unmask::read_safetensors(wanted.folder);
    const decoder weights(wanted.config, file);
    openblas_set_num_threads(1); // the executor's threads have a part of each product
    distributed::sharded_pass pass(ranks, weights, exec);
    const auto sampler =
        make_sampler(wanted.choice, weights, exec,
                     [&](const auto& text, const auto& positions, auto logits) { pass(text, positions, logits); });
    unmask::canvas page = wanted.page();
    const auto cost = sampler(page, wanted.seed, [](const unmask::sampler_step&) { return true; });
    if (ranks.rank() == 0) {
        std::printf("%s\n", wanted.written_on(page).c_str());
        std::fprintf(stderr, "\n%d processes: %s\n", ranks.size(), examples::sentence_of(cost, "tokens").c_str());
    }
}

} // namespace

int main(int count, char** arguments) {
    return distributed::run_program(help, count, arguments, generate);
}
