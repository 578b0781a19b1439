// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <vector>

#include <unmask/mask/bidirectional.hpp>
#include <unmask/mask/block.hpp>
#include <unmask/mask/block_diffusion.hpp>
#include <unmask/mask/causal.hpp>
#include <unmask/mask/document.hpp>
#include <unmask/mask/extra_sink.hpp>
#include <unmask/mask/sliding_window.hpp>
#include <unmask/parallel/detail/sharded_call.hpp>
#include <unmask/parallel/sharding.hpp>

#include "masks.hpp"

// For parallel_model.py: what ranks would compute and receive if attention were divided among them. One line for each
// step of up to 16 of the ranks, as JSON: the visible pairs of their queries with the keys of the rank `step` before
// them, and the positions of keys that come from there.
//
//   parallel_plan MASK LENGTH RANKS

namespace {

using unmask::index_t;
using unmask::range;

constexpr index_t most_ranks = 16;

// The pairs that a mask shows of some queries and some keys.
template <class Mask>
index_t visible_pairs(const Mask& mask, std::span<const range> queries, std::span<const range> keys, index_t length) {
    index_t pairs = 0;
    for (const range& some : queries) {
        for (index_t q = some.begin; q < some.end; ++q) {
            for (const range& seen : mask.row(q, length)) {
                for (const range& held : keys) {
                    pairs += std::max<index_t>(0, std::min(seen.end, held.end) - std::max(seen.begin, held.begin));
                }
            }
        }
    }
    return pairs;
}

template <class Mask>
void print_plan(const Mask& mask, index_t length, int ranks) {
    const unmask::sharding shards = unmask::balanced_sharding(mask, length, ranks, length / ranks >= 128 ? 64 : 1);
    const index_t shown = std::min<index_t>(most_ranks, ranks);
    const char* comma = "[";
    for (index_t i = 0; i < shown; ++i) {
        const auto rank = static_cast<int>(i * (ranks - 1) / std::max<index_t>(1, shown - 1));
        for (int step = 0; step < ranks; ++step) {
            const int from = (rank - step + ranks) % ranks;
            index_t positions = 0;
            for (const auto& part : unmask::detail::needed_keys(mask, shards.of(rank), shards.of(from))) {
                positions += part.size();
            }
            std::printf("%s{\"rank\": %d, \"step\": %d, \"pairs\": %lld, \"positions\": %lld, \"pieces\": %lld}", comma,
                        rank, step,
                        static_cast<long long>(
                            positions > 0 ? visible_pairs(mask, shards.of(rank), shards.of(from), length) : 0),
                        static_cast<long long>(step > 0 ? positions : 0),
                        static_cast<long long>(std::ssize(shards.of(rank)) * std::ssize(shards.of(from))));
            comma = ",\n";
        }
    }
    std::printf("]\n");
}

} // namespace

int main(int count, char** words) {
    const std::string name = count == 4 ? words[1] : "";
    const index_t length = count == 4 ? std::atoll(words[2]) : 0;
    const int ranks = count == 4 ? std::atoi(words[3]) : 0;
    bool found = false;
    const auto plan_if = [&](const char* wanted, const auto& mask) {
        if (name == wanted && length >= 1 && ranks >= 1) {
            print_plan(mask, length, ranks);
            found = true;
        }
    };
    const auto documents = bench::measured<unmask::document>(length);
    plan_if("bidirectional", unmask::bidirectional{});
    plan_if("causal", unmask::causal{});
    plan_if("block", unmask::block{32});
    plan_if("window", unmask::sliding_window{256, 256});
    plan_if("document", documents.mask);
    plan_if("block_diffusion", unmask::block_diffusion{length / 2, 32});
    plan_if("sink", unmask::extra_sink<unmask::bidirectional>{});
    if (!found) {
        std::fprintf(stderr,
                     "usage: parallel_plan MASK LENGTH RANKS, with bidirectional, causal, block, window, document, "
                     "block_diffusion or sink\n");
        return 1;
    }
    return 0;
}
