// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include <unmask/attention/attention.hpp>
#include <unmask/executor/cpu_executor.hpp>
#include <unmask/mask/bidirectional.hpp>
#include <unmask/parallel/attention.hpp>
#include <unmask/parallel/communicator.hpp>
#include <unmask/parallel/sharding.hpp>

#include "model/decoder.hpp"

namespace distributed {

using namespace dlm;

/// The logits of a model that looks both ways, with the positions of a text divided among ranks: each holds the
/// activations of its positions alone, and attention passes keys and values round. All ranks have all weights, call at
/// the same time with the same text, and get the same logits, to the bit.
template <unmask::communicator C>
class sharded_pass {
public:
    /// The weights must outlive it.
    sharded_pass(const C& ranks, const decoder& weights, const unmask::cpu_executor& exec)
        : ranks_(ranks), weights_(weights), exec_(exec) {}

    /// Writes the logits of some positions, [positions.size(), vocabulary]. Those of a rank go to every other.
    void operator()(std::span<const token_t> text, std::span<const index_t> positions, matrix logits) {
        const unmask::sharding shards = unmask::contiguous_sharding(std::ssize(text), ranks_.size());
        const unmask::context_parallel together(ranks_, exec_, shards);
        const unmask::range mine = range_of(shards, ranks_.rank());
        const auto part =
            text.subspan(static_cast<std::size_t>(mine.begin), static_cast<std::size_t>(mine.end - mine.begin));
        weights_.run(exec_, part, mine.begin, memory_, [&](index_t /*layer*/, const auto& rows) {
            unmask::attention_forward(together, rows, unmask::bidirectional{});
        });
        gather(shards, positions, logits);
    }

private:
    static unmask::range range_of(const unmask::sharding& shards, int rank) {
        return shards.of(rank).empty() ? unmask::range{} : shards.of(rank).front();
    }

    // Each rank predicts what it has the rows of; all of them get all.
    void gather(const unmask::sharding& shards, std::span<const index_t> positions, const matrix& logits) {
        std::vector<std::vector<index_t>> of_ranks(static_cast<std::size_t>(ranks_.size())); // places in `positions`
        for (std::size_t i = 0; i < positions.size(); ++i) {
            int rank = 0;
            while (positions[i] >= range_of(shards, rank).end) {
                ++rank;
            }
            of_ranks[static_cast<std::size_t>(rank)].push_back(static_cast<index_t>(i));
        }
        std::size_t most = 0;
        for (const auto& each : of_ranks) {
            most = std::max(most, each.size());
        }
        const auto width = static_cast<std::size_t>(logits.extents[1]);
        const auto& here = of_ranks[static_cast<std::size_t>(ranks_.rank())];
        std::vector<index_t> rows;
        for (const index_t i : here) {
            rows.push_back(positions[static_cast<std::size_t>(i)] - range_of(shards, ranks_.rank()).begin);
        }
        std::vector<float> mine(most * width);
        weights_.predict(exec_, rows, memory_, unmask::view(mine.data(), std::ssize(rows), logits.extents[1]));
        std::vector<float> all(of_ranks.size() * mine.size());
        unmask::all_gather(ranks_, std::span<const float>(mine), std::span(all));
        for (std::size_t rank = 0; rank < of_ranks.size(); ++rank) {
            for (std::size_t i = 0; i < of_ranks[rank].size(); ++i) {
                std::copy_n(all.data() + (rank * most + i) * width, width, logits.pointer(of_ranks[rank][i]));
            }
        }
    }

    C ranks_;
    const decoder& weights_;
    unmask::cpu_executor exec_;
    pass_memory memory_;
};

} // namespace distributed
