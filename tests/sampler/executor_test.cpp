// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <cstdint>
#include <vector>

#include <doctest/doctest.h>

#include <unmask/executor/cpu_executor.hpp>
#include <unmask/sampler/sampler.hpp>

#include "../support/executors.hpp"
#include "models.hpp"

// The sampler on executors of a user's own: those of the host, and one of another kind with its own sampler_backend.

using namespace sampler_test;

namespace {

constexpr vocabulary tokens{.size = 11, .mask = 11, .end = 5};

template <class Executor>
std::vector<token_t> texts(const Executor& exec) {
    auto model = make_model(tokens, random_logits{.seed = 7});
    canvas page(tokens);
    for (index_t i = 0; i < 20; ++i) {
        page.add({}, 9 + 3 * i, i);
    }
    sampler{threshold{0.4}, categorical{.temperature = 0.8}, block_length{16}}(exec, model, page, 3);
    std::vector<token_t> result;
    for (index_t i = 0; i < page.sequences(); ++i) {
        result.insert(result.end(), page.tokens(i).begin(), page.tokens(i).end());
    }
    return result;
}

// An accelerator, which says how long the first text is.
struct accelerator {};
static_assert(!host_executor<accelerator>);

} // namespace

template <>
struct unmask::sampler_backend<accelerator> {
    template <class Model, class Policies, class Observer>
    static statistics run(const accelerator&, Model&, canvas& page, std::uint64_t, const Policies&, Observer&) {
        statistics result;
        result.calls = page.length(0);
        return result;
    }
};

static_assert(sampler_executor<accelerator> && sampler_executor<cpu_executor> && !sampler_executor<int>);

TEST_CASE("a sampler draws the same tokens on every executor of the host") {
    const std::vector<token_t> expected = texts(cpu_executor{1});
    for (const int team : {1, 5}) {
        for (const unsigned seed : {1U, 2U}) {
            CAPTURE(team);
            CAPTURE(seed);
            CHECK(texts(test::shuffled_executor{seed, team}) == expected);
        }
    }
    test::counting_executor::counts counts;
    CHECK(texts(test::counting_executor{&counts}) == expected);
    CHECK(counts.calls > 0);
    CHECK(counts.tasks >= counts.calls);
}

TEST_CASE("an executor of another kind runs samplers by its backend") {
    auto model = make_model(tokens, random_logits{});
    canvas page(tokens);
    page.add({}, 13);
    CHECK(sampler{}(accelerator{}, model, page, 1).calls == 13);
    CHECK(model.calls == 0);
    canvas empty_of_another(vocabulary{.size = 3, .mask = 3, .end = {}});
    CHECK_THROWS_AS(sampler{}(accelerator{}, model, empty_of_another, 1), invalid_argument);
}
