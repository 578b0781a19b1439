// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <unmask/attention/attention.hpp>
#include <unmask/mask/block.hpp>
#include <unmask/mask/logic.hpp>
#include <unmask/parallel/attention.hpp>
#include <unmask/parallel/communicator.hpp>
#include <unmask/parallel/mpi.hpp>
#include <unmask/parallel/sharding.hpp>
#include <unmask/sink/key_value_sink.hpp>

#include "../parallel/sharded_problem.hpp"

// Attention over processes, each of which also computes everything alone and compares. Called with a word, rank 1 fails
// in the middle of a step in that way, or calls with another shape.

using namespace test;

namespace {

void expect(bool condition, const char* what) {
    if (!condition) {
        throw std::logic_error(what);
    }
}

// Fails the given number of exchanges after it was told to.
struct failing_communicator {
    mpi_communicator ranks;
    std::string_view how;
    int* left;

    [[nodiscard]] int rank() const { return ranks.rank(); }
    [[nodiscard]] int size() const { return ranks.size(); }
    [[nodiscard]] auto exchange(int to, std::span<const std::byte> sent, int from,
                                std::span<std::byte> received) const {
        if (rank() == 1 && --*left == 0) {
            if (how == "kill") {
                std::raise(SIGKILL);
            }
            throw std::runtime_error("unplugged");
        }
        return ranks.exchange(to, sent, from, received);
    }
    void all_gather(std::span<const std::byte> mine, std::span<std::byte> all) const { ranks.all_gather(mine, all); }
    void progress(std::chrono::nanoseconds most) const { ranks.progress(most); }
};

template <class Communicator, class Mask>
void run(const Communicator& ranks, const sharding& shards, problem<float>& p, const Mask& mask) {
    const context_parallel exec(ranks, cpu_executor{1}, shards);
    const auto sink = p.sink<key_value_sink>();
    attention_forward(exec, p.tensors(), mask, sink);
    attention_backward(exec, p.tensors(), p.gradients(sink), mask, sink);
    attention_received(exec, p.tensors(), p.received_view(), mask, sink);
}

template <class Mask>
void check_mask(const mpi_communicator& ranks, const Mask& mask) {
    std::mt19937 random(3);
    const index_t length = 301;
    problem<float> whole({2, length, length, 4, 2, 32}, random);
    const auto sink = whole.sink<key_value_sink>();
    attention_forward(cpu_executor{1}, whole.tensors(), mask, sink);
    attention_backward(cpu_executor{1}, whole.tensors(), whole.gradients(sink), mask, sink);
    attention_received(cpu_executor{1}, whole.tensors(), whole.received_view(), mask, sink);
    for (const sharding& shards :
         {contiguous_sharding(length, ranks.size()), balanced_sharding(mask, length, ranks.size())}) {
        const auto held = shards.of(ranks.rank());
        problem<float> mine = part_of(whole, held, held);
        problem<float> again(mine);
        run(ranks, shards, mine, mask);
        run(ranks, shards, again, mask);
        expect(same_results(mine, again), "another run gave other bits");
        const auto is_near = [&](const std::vector<float>& got, const std::vector<float>& all, index_t rows,
                                 const char* name) {
            expect(distance(got, taken(all, rows, length, held)) < 4e-6, name);
        };
        is_near(mine.output, whole.output, 2, "output differs");
        is_near(mine.log_sum_exp, whole.log_sum_exp, 2 * 4, "log_sum_exp differs");
        is_near(mine.d_query, whole.d_query, 2, "d_query differs");
        is_near(mine.d_key, whole.d_key, 2, "d_key differs");
        is_near(mine.d_value, whole.d_value, 2, "d_value differs");
        is_near(mine.received, whole.received, 2 * 4, "received differs");
        expect(distance(mine.d_keys, whole.d_keys) < 4e-6, "the sink's d_keys differ");
        expect(distance(mine.d_values, whole.d_values) < 4e-6, "the sink's d_values differ");
    }
}

void check_collectives(const mpi_communicator& ranks) {
    const std::vector<int> mine{ranks.rank(), 7};
    std::vector<int> all(2 * static_cast<std::size_t>(ranks.size()));
    all_gather(ranks, std::span<const int>(mine), std::span(all));
    for (int rank = 0; rank < ranks.size(); ++rank) {
        expect(all[2 * static_cast<std::size_t>(rank)] == rank, "all_gather");
    }
    std::vector<float> sums(100000, static_cast<float>(1 + ranks.rank()));
    all_reduce_sum(ranks, std::span(sums));
    const int count = ranks.size() * (ranks.size() + 1) / 2;
    expect(sums == std::vector<float>(sums.size(), static_cast<float>(count)), "all_reduce_sum");
    std::vector<double> largest{static_cast<double>(-ranks.rank())};
    all_reduce_max(ranks, std::span(largest));
    expect(largest[0] == 0.0, "all_reduce_max");
    std::vector<index_t> told{ranks.rank() == ranks.size() - 1 ? 5 : 0};
    broadcast(ranks, std::span(told), ranks.size() - 1);
    expect(told[0] == 5, "broadcast");
}

} // namespace

int main(int count, char** arguments) {
    const std::string_view how = count > 1 ? arguments[1] : "";
    return run_mpi(count, arguments, [&](const mpi_communicator& ranks) {
        if (how.empty()) {
            check_collectives(ranks);
            check_mask(ranks, block{32});
            check_mask(ranks, !block{32} && sliding_window{60, 100});
            std::printf("rank %d of %d is right\n", ranks.rank(), ranks.size());
            return 0;
        }
        std::mt19937 random(3);
        const index_t length = 60;
        const problem<float> whole({1, length, length, 2, 1, 16}, random);
        const sharding shards = contiguous_sharding(length, ranks.size());
        const auto held = shards.of(ranks.rank());
        problem<float> mine = part_of(whole, held, held);
        if (how == "shape" && ranks.rank() == 1) {
            mine.size.heads = 1;
        }
        int left = how == "shape" ? -1 : 4;
        while (true) {
            run(failing_communicator{ranks, how, &left}, shards, mine, bidirectional{});
        }
    });
}
