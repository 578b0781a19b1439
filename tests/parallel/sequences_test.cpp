// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// A canvas whose sequences are sampled by several ranks gets the tokens of one.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <unmask/executor/cpu_executor.hpp>
#include <unmask/parallel/sequences.hpp>
#include <unmask/parallel/thread_communicator.hpp>
#include <unmask/sampler/presets.hpp>
#include <unmask/sampler/sampler.hpp>

#include "../sampler/models.hpp"

using namespace sampler_test;

namespace {

constexpr vocabulary tokens{.size = 12, .mask = 11, .end = 0};

canvas ragged(index_t sequences) {
    canvas page(tokens);
    for (index_t i = 0; i < sequences; ++i) {
        const std::vector<token_t> prompt(static_cast<std::size_t>(i % 3), static_cast<token_t>(1 + i % 9));
        page.add(prompt, i * 7 % 11, static_cast<std::uint64_t>(100 + 3 * i));
    }
    return page;
}

void check_same(const canvas& a, const canvas& b) {
    REQUIRE(a.sequences() == b.sequences());
    for (index_t i = 0; i < a.sequences(); ++i) {
        CHECK(std::ranges::equal(a.tokens(i), b.tokens(i)));
        CHECK(std::ranges::equal(a.states(i), b.states(i)));
        CHECK(a.masked(i) == b.masked(i));
        CHECK(a.id(i) == b.id(i));
    }
}

template <class Sampler>
void check_ranks(const Sampler& sample) {
    for (const index_t sequences : {0, 1, 2, 7}) {
        canvas expected = ragged(sequences);
        auto alone = make_model(tokens, random_logits{5});
        alone.may_ask_committed = true;
        const statistics cost = sample(cpu_executor{1}, alone, expected, 3);
        for (int ranks = 1; ranks <= 5; ++ranks) {
            CAPTURE(sequences);
            CAPTURE(ranks);
            std::vector<canvas> pages(static_cast<std::size_t>(ranks), ragged(sequences));
            std::vector<statistics> costs(pages.size());
            run_ranks(ranks, [&](const thread_communicator& c) {
                auto model = make_model(tokens, random_logits{5});
                model.may_ask_committed = true;
                const auto at = static_cast<std::size_t>(c.rank());
                costs[at] = sample_sequences(c, sample, cpu_executor{1}, model, pages[at], 3);
            });
            for (std::size_t rank = 0; rank < pages.size(); ++rank) {
                check_same(pages[rank], expected);
                CHECK(costs[rank].calls == cost.calls);
                CHECK(costs[rank].nfe.denoise == cost.nfe.denoise);
                CHECK(costs[rank].rows == cost.rows);
                CHECK(costs[rank].committed == cost.committed);
                CHECK(costs[rank].remasked == cost.remasked);
                CHECK(costs[rank].useful == cost.useful);
                CHECK(costs[rank].wasted == cost.wasted);
            }
        }
    }
}

} // namespace

TEST_CASE("every sequence has one rank, and ranks have about as many positions") {
    for (const index_t sequences : {0, 1, 2, 7, 40}) {
        const canvas page = ragged(sequences);
        for (int ranks = 1; ranks <= 6; ++ranks) {
            index_t next = 0;
            for (int rank = 0; rank < ranks; ++rank) {
                const sequence_range mine = sequences_of_rank(page, rank, ranks);
                CHECK(mine.begin == next);
                CHECK(mine.end >= mine.begin);
                next = mine.end;
                const index_t positions = page.offset(mine.end) - page.offset(mine.begin);
                CHECK(positions <= std::ssize(page.tokens()) / ranks + 13); // the longest sequence, and rounding
            }
            CHECK(next == sequences);
        }
    }
    CHECK_THROWS_AS((void)sequences_of_rank(ragged(2), 2, 2), invalid_argument);
    CHECK_THROWS_AS((void)sequences_of_rank(ragged(2), -1, 2), invalid_argument);
}

TEST_CASE("any number of ranks writes what one writes, at the same cost") {
    check_ranks(sampler{steps{4}, categorical{.temperature = 1.0}});
    check_ranks(presets::fast_dllm());
    check_ranks(presets::remdm());
}

TEST_CASE("canvases or seeds that differ are found before the model is called") {
    for (const bool in_seed : {true, false}) {
        const std::string said = complaint<communication_error>([&] {
            run_ranks(3, [&](const thread_communicator& c) {
                canvas page = ragged(4);
                const bool other = c.rank() == 1;
                if (other && !in_seed) {
                    page.commit(3, 5, 2);
                }
                auto model = make_model(tokens, random_logits{5});
                const auto said_here = complaint([&] {
                    sample_sequences(c, sampler{steps{4}}, cpu_executor{1}, model, page,
                                     other && in_seed ? std::uint64_t{4} : std::uint64_t{3});
                });
                CHECK(model.calls == 0);
                CHECK(said_here == "sample_sequences: page or seed is another one on rank 1, expected that of rank 0");
            });
        });
        CHECK(said.empty());
    }
}

TEST_CASE("a model that throws on one rank ends the run of all, and leaves their canvases as they were") {
    std::vector<canvas> pages(3, ragged(7));
    const std::string said = complaint<communication_error>([&] {
        run_ranks(3, [&](const thread_communicator& c) {
            const auto fails = [&](std::span<const token_t>, index_t, token_t) -> float {
                if (c.rank() == 1) {
                    throw std::runtime_error("out of paper");
                }
                return 0.0F;
            };
            auto model = make_model(tokens, fails);
            sample_sequences(c, sampler{steps{4}}, cpu_executor{1}, model, pages[static_cast<std::size_t>(c.rank())],
                             3);
        });
    });
    CHECK(said == "rank 1 threw: out of paper");
    for (const canvas& page : pages) {
        check_same(page, ragged(7));
    }
}
