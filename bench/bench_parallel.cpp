// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <chrono>
#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include <unmask/attention/attention.hpp>
#include <unmask/mask/block.hpp>
#include <unmask/mask/block_diffusion.hpp>
#include <unmask/mask/causal.hpp>
#include <unmask/mask/document.hpp>
#include <unmask/mask/extra_sink.hpp>
#include <unmask/parallel/attention.hpp>
#include <unmask/parallel/mpi.hpp>
#include <unmask/parallel/sharding.hpp>

#include "data_parallel.hpp"
#include "support/buffers.hpp"
#include "support/case_name.hpp"
#include "support/masks.hpp"
#include "support/program.hpp"
#include "trainer.hpp"
#include "variant.hpp"

// Attention and a step of training on the processes that mpirun starts, each with --threads=N (2 if not given); on one
// process, without any of the machinery for more. parallel.py compares them. Time is that of the slowest process.
//
//   flops        useful operations a second, of all processes
//   imbalance    the largest visible work of a process over the mean
//   tokens_a_second   of training
//   bytes_a_second    of a message to the next rank, while one of the same size comes from the rank before

namespace {

using bench::direction;
using unmask::index_t;

constexpr index_t heads = 2;
constexpr index_t head_dim = 64;

// The seconds of work() on the slowest rank, from where all begin together.
template <class Work>
double slowest(const unmask::mpi_communicator& ranks, const Work& work) {
    double seconds = 0.0;
    unmask::all_reduce_max(ranks, std::span(&seconds, 1)); // together from here
    const auto start = std::chrono::steady_clock::now();
    work();
    seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    unmask::all_reduce_max(ranks, std::span(&seconds, 1));
    return seconds;
}

// All ranks must take the same number of steps: it is given, not found.
void add(const std::string& name, int steps, const std::function<void(benchmark::State&)>& run) {
    benchmark::RegisterBenchmark(name.c_str(), run)->UseManualTime()->Iterations(steps)->Unit(benchmark::kMillisecond);
}

// The mean seconds of a step, or of one of `parts` that are alike in it, after one that is not counted.
double measure(benchmark::State& state, const unmask::mpi_communicator& ranks, const std::function<void()>& step,
               int parts = 1) {
    step();
    double seconds = 0.0;
    for (auto _ : state) {
        const double of_part = slowest(ranks, step) / parts;
        state.SetIterationTime(of_part);
        seconds += of_part;
    }
    return seconds / static_cast<double>(state.iterations());
}

template <unmask::mask_policy Mask>
void add_attention(const unmask::mpi_communicator& ranks, int threads, direction which, index_t length,
                   const bench::named_mask<Mask>& mask) {
    const std::string name =
        std::string(bench::to_string(which)) + "/" + mask.name + "/length:" + std::to_string(length);
    add(name, length <= 8192 ? 5 : 1, [=](benchmark::State& state) {
        const unmask::cpu_executor alone{threads};
        const unmask::sharding shards = unmask::balanced_sharding(mask.mask, length, ranks.size(), 64);
        const unmask::context_parallel together(ranks, alone, shards);
        const index_t positions = shards.positions(ranks.rank());
        bench::buffers<float> data({.length = positions, .head_dim = head_dim, .threads = threads, .heads = heads},
                                   which == direction::backward);
        const auto on_ranks = [&](const auto& call) {
            if (ranks.size() == 1) {
                call(alone);
            } else {
                call(together);
            }
        };
        const auto forward = [&](const auto& exec) { unmask::attention_forward(exec, data.tensors(), mask.mask); };
        const auto backward = [&](const auto& exec) {
            unmask::attention_backward(exec, data.tensors(), data.gradients(), mask.mask);
        };
        on_ranks(forward); // backward reads what it writes
        const double seconds = measure(state, ranks, [&] {
            if (which == direction::forward) {
                on_ranks(forward);
            } else {
                on_ranks(backward);
            }
        });
        const std::vector<index_t> work = unmask::visible_work(mask.mask, shards);
        double pairs = 0.0;
        for (const index_t each : work) {
            pairs += static_cast<double>(each);
        }
        state.counters["flops"] = pairs * static_cast<double>(heads) * bench::useful_flops(which, head_dim) / seconds;
        state.counters["imbalance"] = unmask::imbalance(work);
    });
}

void add_masks(const unmask::mpi_communicator& ranks, int threads) {
    for (const index_t length : {8192, 32768}) {
        for (const direction which : {direction::forward, direction::backward}) {
            const auto add_mask = [&](const auto& mask) { add_attention(ranks, threads, which, length, mask); };
            add_mask(bench::measured<unmask::causal>());
            add_mask(bench::measured<unmask::block>());
            add_mask(bench::measured<unmask::block_diffusion>(length));
            add_mask(bench::measured<unmask::document>(length));
            add_mask(bench::named_mask<unmask::extra_sink<unmask::bidirectional>>{"sink", {}});
        }
    }
}

// A step of the language model that examples/ ships, on made tokens: 16 sequences.
void add_training(const unmask::mpi_communicator& ranks, int threads) {
    using namespace language_model;
    add("training/sequences:16", 3, [=](benchmark::State& state) {
        const model_shape shape{.vocabulary = 2048, .width = 256, .layers = 4, .heads = 4, .ffn = 688};
        const training_settings settings{.batch = 16, .length = 256, .pass = 2, .optimizer = {.muon = true}};
        std::vector<token_t> text(1 << 16);
        for (std::size_t i = 0; i < text.size(); ++i) {
            text[i] = static_cast<token_t>(i * i / 7 % 2048);
        }
        with_variant("key_value", shape, [&]<class Model>(const Model& model) {
            trainer<Model> run(model, settings, batches_of_text(text, settings, 2048), threads,
                               ranks.size() > 1 ? share_of(ranks) : training_share{});
            index_t step = 0;
            const double seconds = measure(state, ranks, [&] { run.step(step++); });
            state.counters["tokens_a_second"] = static_cast<double>(settings.batch * settings.length) / seconds;
        });
    });
}

void add_exchange(const unmask::mpi_communicator& ranks) {
    for (const std::size_t bytes : {std::size_t{8}, std::size_t{1} << 23}) {
        add("exchange/bytes:" + std::to_string(bytes), 5, [=](benchmark::State& state) {
            const std::vector<std::byte> sent(bytes);
            std::vector<std::byte> received(bytes);
            const int times = bytes < 1000 ? 100 : 1;
            const auto exchange = [&] {
                for (int i = 0; i < times; ++i) {
                    ranks
                        .exchange((ranks.rank() + 1) % ranks.size(), sent,
                                  (ranks.rank() + ranks.size() - 1) % ranks.size(), received)
                        .wait();
                }
            };
            const double seconds = measure(state, ranks, exchange, times);
            state.counters["bytes_a_second"] = static_cast<double>(bytes) / seconds;
        });
    }
}

// Of ranks that have nothing to say.
class silent : public benchmark::BenchmarkReporter {
public:
    bool ReportContext(const Context& /*context*/) override { return true; }
    void ReportRuns(const std::vector<Run>& /*runs*/) override {}
};

} // namespace

int main(int argc, char** argv) {
    return unmask::run_mpi(argc, argv, [&](const unmask::mpi_communicator& ranks) {
        silent nothing;
        return bench::run_program(
            argc, argv, "bench_parallel",
            [&](const bench::options& options) {
                add_masks(ranks, options.threads);
                add_training(ranks, options.threads);
                if (ranks.size() > 1) {
                    add_exchange(ranks);
                }
            },
            ranks.rank() == 0 ? nullptr : &nothing);
    });
}
