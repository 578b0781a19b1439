// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// What holds for every schedule, score and selector, and so for a new one.

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <unmask/executor/cpu_executor.hpp>
#include <unmask/sampler/sampler.hpp>

#include "../support/sampling_lists.hpp"
#include "models.hpp"

using namespace sampler_test;

namespace {

constexpr vocabulary tokens{.size = 11, .mask = 11, .end = {}};

// A batch of three sequences, or one of them with its id.
canvas texts(int only = -1) {
    canvas page(tokens);
    const std::vector<token_t> prompts[] = {{}, {1, 2, 3}, {4}};
    const index_t lengths[] = {1, 30, 17};
    for (int i = 0; i < 3; ++i) {
        if (only < 0 || i == only) {
            page.add(prompts[i], lengths[i], static_cast<std::uint64_t>(i));
        }
    }
    return page;
}

template <class Sampler>
void check(const Sampler& sampler) {
    auto model = make_model(tokens, random_logits{.seed = 5});
    canvas together = texts();
    const statistics counts = sampler(cpu_executor{1}, model, together, 9);
    CHECK(together.masked() == 0);
    CHECK(counts.committed == 48);
    CHECK(counts.calls <= 30); // at least one a call in each sequence
    CHECK(counts.wasted == 0);

    canvas with_threads = texts();
    sampler(cpu_executor{3}, model, with_threads, 9);
    CHECK(std::ranges::equal(with_threads.tokens(), together.tokens()));
    for (int i = 0; i < 3; ++i) {
        canvas alone = texts(i);
        sampler(cpu_executor{1}, model, alone, 9);
        CHECK(std::ranges::equal(alone.tokens(0), together.tokens(i)));
    }
}

} // namespace

TEST_CASE("every schedule fills a batch as it fills its sequences") {
    test::for_each_schedule([](const std::string& name, const auto& schedule) {
        CAPTURE(name);
        check(sampler{schedule, block_length{12}, categorical{}});
    });
}

TEST_CASE("every score fills a batch as it fills its sequences") {
    test::for_each_score([](const std::string& name, const auto& score) {
        CAPTURE(name);
        check(sampler{score, steps{16}, categorical{.temperature = 0.8}});
    });
}

TEST_CASE("every selector fills a batch as it fills its sequences") {
    test::for_each_selector([](const std::string& name, const auto& selector) {
        CAPTURE(name);
        check(sampler{selector, steps{16}, categorical{.temperature = 0.8}});
    });
}
