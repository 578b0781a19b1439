// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// The language model's training on several processes, each with a part of every batch. See --help.

#include <csignal>
#include <cstdio>
#include <stdexcept>

#include "command_line.hpp"
#include "data_parallel.hpp"
#include "ranks_program.hpp"
#include "trainer.hpp"
#include "training_run.hpp"
#include "variant.hpp"

using namespace language_model;

namespace {

constexpr const char* help =
    R"(usage: mpirun -n RANKS distributed_train --out FILE.safetensors [options]

Takes the options of ../language_model/train, and reads and writes its files: a run may go on with another number of
processes, or with one alone. Weights differ from those of one process by rounding, and not at all between processes.

  --threads N            of each process (1)

Every process reads the files. The batch has at least one pass (--pass) for each. SIGUSR1 to mpirun stops the run after
the current step, and saves it; whatever ends a process ends all, and loses the steps since the last save.
)";

volatile std::sig_atomic_t stop_asked = 0;

void train(const unmask::mpi_communicator& ranks, command_line& options) {
    const auto threads = static_cast<int>(options.integer("threads", 1, {1, 1024}));
    const training_run run(options, /*on_gpu=*/false, DEFAULT_TOKENIZER);
    options.finish();
    if (run.out.empty()) {
        throw std::invalid_argument("--out is missing, expected a file");
    }
    std::signal(SIGUSR1, [](int) { stop_asked = 1; });
    with_variant(run.card.sink, run.card.shape, [&]<class Model>(const Model& model) {
        trainer<Model> part(model, run.settings, run.batches(), threads, share_of(ranks));
        const auto stops = [&](index_t step) {
            check_same_step(ranks, step);
            return on_any(ranks, stop_asked != 0);
        };
        run.train(part, model.places(), stops, /*leads=*/ranks.rank() == 0);
    });
}

} // namespace

int main(int count, char** words) {
    return distributed::run_program(help, count, words, train);
}
