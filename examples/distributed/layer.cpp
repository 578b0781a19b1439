// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// One attention layer of a long canvas, with its positions divided among processes, forward and backward: how even the
// work is, how fast it goes, and rows that are computed again from their definition. See --help.

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <unmask/attention/attention.hpp>
#include <unmask/mask/bidirectional.hpp>
#include <unmask/mask/block.hpp>
#include <unmask/mask/block_diffusion.hpp>
#include <unmask/mask/causal.hpp>
#include <unmask/mask/extra_sink.hpp>
#include <unmask/mask/sliding_window.hpp>
#include <unmask/parallel/attention.hpp>
#include <unmask/parallel/sharding.hpp>
#include <unmask/random/philox.hpp>

#include "ranks_program.hpp"
#include "refuse.hpp"

namespace {

using unmask::index_t;

constexpr const char* help =
    R"(usage: mpirun -n RANKS distributed_layer [options]

  --length N             positions of the canvas (65536)
  --heads N --head-dim N (1, 64)
  --mask NAME            bidirectional, causal, block, window, block_diffusion or sink (causal)
  --threads N            of each process (1)
  --rows N               output rows of each process that are checked (4)

Exits with an error if a row is wrong.
)";

struct layer_options {
    index_t length;
    index_t heads;
    index_t head_dim;
    index_t rows;
    int threads;
};

// Element d of a head at a position: the same on every rank. `which` is 0 for queries, 1 for keys, 2 for values, 3 for
// the gradient of the output. About normal.
float element(int which, index_t position, index_t head, index_t d) {
    const unmask::philox generator{{7, static_cast<std::uint32_t>(which)}};
    const auto words = generator(
        {static_cast<std::uint32_t>(position), static_cast<std::uint32_t>(head), static_cast<std::uint32_t>(d / 4), 0});
    const std::uint32_t word = words[static_cast<std::size_t>(d % 4)];
    double sum = 0.0;
    for (int byte = 0; byte < 4; ++byte) {
        sum += static_cast<double>(word >> (8 * byte) & 0xffU);
    }
    return static_cast<float>((sum - 510.0) / 147.8);
}

// A tensor [1, positions of a rank, heads, head_dim].
class rank_tensor {
public:
    rank_tensor(const layer_options& layer, index_t positions)
        : values_(static_cast<std::size_t>(positions * layer.heads * layer.head_dim)),
          shape_{1, positions, layer.heads, layer.head_dim} {}

    rank_tensor(const layer_options& layer, std::span<const unmask::range> held, index_t positions, int which)
        : rank_tensor(layer, positions) {
        float* next = values_.data();
        for (const unmask::range& range : held) {
            for (index_t position = range.begin; position < range.end; ++position) {
                for (index_t head = 0; head < layer.heads; ++head) {
                    for (index_t d = 0; d < layer.head_dim; ++d) {
                        *next++ = element(which, position, head, d);
                    }
                }
            }
        }
    }

    [[nodiscard]] unmask::tensor_view<float, 4> all() {
        return unmask::view(values_.data(), shape_[0], shape_[1], shape_[2], shape_[3]);
    }

private:
    std::vector<float> values_;
    std::array<index_t, 4> shape_;
};

// The output of one head at a position, by its definition, in double.
template <class Mask>
std::vector<double> row_of(const layer_options& layer, const Mask& mask, index_t position, index_t head) {
    std::vector<double> scores;
    std::vector<index_t> keys;
    for (index_t key = 0; key < layer.length; ++key) {
        if (mask.visible(position, key)) {
            double score = 0.0;
            for (index_t d = 0; d < layer.head_dim; ++d) {
                score +=
                    static_cast<double>(element(0, position, head, d)) * static_cast<double>(element(1, key, head, d));
            }
            scores.push_back(score / std::sqrt(static_cast<double>(layer.head_dim)));
            keys.push_back(key);
        }
    }
    const double highest = scores.empty() ? 0.0 : *std::max_element(scores.begin(), scores.end());
    std::vector<double> output(static_cast<std::size_t>(layer.head_dim));
    double sum = 0.0;
    for (std::size_t i = 0; i < keys.size(); ++i) {
        const double weight = std::exp(scores[i] - highest);
        sum += weight;
        for (index_t d = 0; d < layer.head_dim; ++d) {
            output[static_cast<std::size_t>(d)] += weight * static_cast<double>(element(2, keys[i], head, d));
        }
    }
    for (double& each : output) {
        each = sum > 0.0 ? each / sum : 0.0;
    }
    return output;
}

template <class Mask>
void run(const unmask::mpi_communicator& ranks, const std::string& name, const layer_options& layer, const Mask& mask) {
    const unmask::sharding shards = unmask::balanced_sharding(mask, layer.length, ranks.size(), 64);
    const unmask::context_parallel exec(ranks, unmask::cpu_executor{layer.threads}, shards);
    const auto held = shards.of(ranks.rank());
    const index_t positions = shards.positions(ranks.rank());
    rank_tensor query(layer, held, positions, 0);
    rank_tensor key(layer, held, positions, 1);
    rank_tensor value(layer, held, positions, 2);
    rank_tensor d_output(layer, held, positions, 3);
    rank_tensor output(layer, positions);
    rank_tensor d_query(layer, positions);
    rank_tensor d_key(layer, positions);
    rank_tensor d_value(layer, positions);
    std::vector<float> sums(static_cast<std::size_t>(layer.heads * positions));
    const unmask::attention_tensors<float> tensors{.query = query.all(),
                                                   .key = key.all(),
                                                   .value = value.all(),
                                                   .output = output.all(),
                                                   .log_sum_exp =
                                                       unmask::view(sums.data(), index_t{1}, layer.heads, positions)};

    const auto slowest = [&](const auto& work) {
        const auto start = std::chrono::steady_clock::now();
        work();
        double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        unmask::all_reduce_max(ranks, std::span(&seconds, 1));
        return seconds;
    };
    const double forward = slowest([&] { unmask::attention_forward(exec, tensors, mask); });
    const double backward = slowest([&] {
        unmask::attention_backward(
            exec, tensors,
            {.output = d_output.all(), .query = d_query.all(), .key = d_key.all(), .value = d_value.all()}, mask);
    });

    double error = 0.0; // of rows spread over what the rank holds
    for (index_t i = 0; i < std::min(layer.rows, positions); ++i) {
        index_t place = i * (positions - 1) / std::max<index_t>(1, layer.rows - 1);
        const index_t row = place;
        for (const unmask::range& range : held) {
            if (place < range.end - range.begin) {
                place += range.begin;
                break;
            }
            place -= range.end - range.begin;
        }
        const index_t head = i % layer.heads;
        const std::vector<double> expected = row_of(layer, mask, place, head);
        for (index_t d = 0; d < layer.head_dim; ++d) {
            const double found = static_cast<double>(output.all()(0, row, head, d));
            const double distance = std::abs(found - expected[static_cast<std::size_t>(d)]);
            error = distance <= error ? error : distance; // NaN stays
        }
    }
    unmask::all_reduce_max(ranks, std::span(&error, 1));

    if (ranks.rank() == 0) {
        const std::vector<index_t> work = unmask::visible_work(mask, shards);
        double pairs = 0.0;
        for (const index_t each : work) {
            pairs += static_cast<double>(each);
        }
        const double operations = 4.0 * pairs * static_cast<double>(layer.heads * layer.head_dim);
        std::printf(
            "%s, %lld positions, %d processes: %.1f %% of pairs visible, imbalance %.3f\n"
            "forward %.2f s (%.1f GFLOP/s), backward %.2f s (%.1f GFLOP/s), largest error of checked rows %.1e\n",
            name.c_str(), static_cast<long long>(layer.length), ranks.size(),
            100.0 * pairs / (static_cast<double>(layer.length) * static_cast<double>(layer.length)),
            unmask::imbalance(work), forward, operations / forward * 1e-9, backward, 2.5 * operations / backward * 1e-9,
            error);
    }
    if (!(error < 1e-4)) {
        throw std::runtime_error("a row differs from its definition by " + std::to_string(error));
    }
}

void measure(const unmask::mpi_communicator& ranks, distributed::command_line& options) {
    const layer_options layer{.length = options.integer("length", 65536, {1, 1 << 24}),
                              .heads = options.integer("heads", 1, {1, 1 << 10}),
                              .head_dim = options.integer("head-dim", 64, {1, 256}),
                              .rows = options.integer("rows", 4, {0, 1 << 20}),
                              .threads = static_cast<int>(options.integer("threads", 1, {1, 1024}))};
    const std::string mask = options.text("mask", "causal");
    options.finish();
    if (mask == "bidirectional") {
        run(ranks, mask, layer, unmask::bidirectional{});
    } else if (mask == "causal") {
        run(ranks, mask, layer, unmask::causal{});
    } else if (mask == "block") {
        run(ranks, mask, layer, unmask::block{32});
    } else if (mask == "window") {
        run(ranks, mask, layer, unmask::sliding_window{256, 256});
    } else if (mask == "block_diffusion") {
        if (layer.length % 2 != 0) {
            examples::refuse("length", std::to_string(layer.length), "an even number: noised, then clean");
        }
        run(ranks, mask, layer, unmask::block_diffusion{layer.length / 2, 32});
    } else if (mask == "sink") {
        run(ranks, mask, layer, unmask::extra_sink<unmask::bidirectional>{});
    } else {
        examples::refuse("mask", mask, "bidirectional, causal, block, window, block_diffusion or sink");
    }
}

} // namespace

int main(int count, char** words) {
    return distributed::run_program(help, count, words, measure);
}
