// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <random>

#include <unmask/sampler/sampler.hpp>

#include "models.hpp"
#include "scalar_sampler.hpp"

// The sampler against the scalar one on random models and canvases: same tokens, same number of calls.

using namespace sampler_test;

namespace {

struct random_case {
    std::mt19937 random;
    vocabulary tokens;
    canvas page{{.size = 1, .mask = 1, .end = {}}};
    std::vector<scalar::sequence> sequences;

    index_t up_to(index_t largest) { return std::uniform_int_distribution<index_t>(0, largest)(random); }

    explicit random_case(unsigned seed) : random(seed) {
        tokens.size = static_cast<token_t>(3 + up_to(9));
        tokens.mask = up_to(1) == 0 ? tokens.size : static_cast<token_t>(up_to(tokens.size - 1));
        if (up_to(2) > 0) {
            tokens.end = static_cast<token_t>(up_to(tokens.size - 1));
            tokens.end = tokens.holds(*tokens.end) ? tokens.end : std::nullopt;
        }
        page = canvas(tokens);
        for (index_t sequence = up_to(3); sequence >= 0; --sequence) {
            const auto id = static_cast<std::uint64_t>(up_to(1) == 0 ? up_to(5) : (up_to(5) << 33));
            const bool infill = up_to(1) == 0;
            const index_t length = up_to(20);
            const index_t prompt = up_to(length);
            std::vector<token_t> given;
            for (index_t i = 0; i < length; ++i) {
                const bool masked = infill ? up_to(1) == 0 : i >= prompt;
                given.push_back(masked ? blank : static_cast<token_t>(up_to(tokens.size - 1)));
            }
            const index_t index = page.add_infill(given, id);
            sequences.push_back(
                {to_vector(page.tokens(index)), {page.states(index).begin(), page.states(index).end()}, id});
        }
    }
};

// `how` is set up to describe the sampler, and both run.
template <class Sampler>
void compare(random_case& one, const Sampler& sampler, const scalar::policies& how, std::uint64_t seed) {
    const random_logits logits{seed, 3};
    auto model = make_model(one.tokens, logits);
    canvas page = one.page;
    const statistics result = sampler(cpu_executor{1}, model, page, seed);

    index_t calls = 0;
    index_t longest = 0;
    index_t committed = 0;
    for (index_t sequence = 0; sequence < page.sequences(); ++sequence) {
        const scalar::outcome expected =
            scalar::sample(one.sequences[static_cast<std::size_t>(sequence)], logits, one.tokens, how, seed);
        CAPTURE(sequence);
        REQUIRE(to_vector(page.tokens(sequence)) == expected.tokens);
        calls += expected.calls;
        committed += expected.committed;
        longest = std::max(longest, expected.calls);
    }
    REQUIRE(page.masked() == 0);
    REQUIRE(result.nfe.denoise == calls);
    REQUIRE(result.calls == longest);
    REQUIRE(result.calls == model.calls);
    REQUIRE(result.rows == model.rows);
    REQUIRE(result.committed == committed);
    REQUIRE(result.committed + result.filled == one.page.masked());
}

constexpr int cases = 60;

template <class Body>
void for_random_cases(Body&& body) {
    for (unsigned seed = 0; seed < cases; ++seed) {
        CAPTURE(seed);
        random_case one(seed);
        scalar::policies how;
        how.steps = 1 + one.up_to(14);
        how.block_length = 1 + one.up_to(11);
        body(one, how, seed + (std::uint64_t{seed} << 40));
    }
}

} // namespace

TEST_CASE("steps, confidence, top_k, greedy") {
    for_random_cases([](random_case& one, scalar::policies& how, std::uint64_t seed) {
        compare(one, sampler{steps{how.steps}, block_length{how.block_length}}, how, seed);
    });
}

TEST_CASE("the default block is the whole sequence") {
    for_random_cases([](random_case& one, scalar::policies& how, std::uint64_t seed) {
        how.block_length = 1000;
        compare(one, sampler{steps{how.steps}}, how, seed);
    });
}

TEST_CASE("steps, confidence, categorical with temperature: raw scores") {
    for_random_cases([](random_case& one, scalar::policies& how, std::uint64_t seed) {
        how.temperature = 0.1 * static_cast<double>(one.up_to(20));
        compare(one,
                sampler{categorical{.temperature = how.temperature}, block_length{how.block_length}, steps{how.steps}},
                how, seed);
    });
}

TEST_CASE("cosine_steps, margin, categorical with filters: shaped scores") {
    for_random_cases([](random_case& one, scalar::policies& how, std::uint64_t seed) {
        how.schedule = scalar::schedule::cosine;
        how.score = scalar::score::margin;
        how.shaped = true;
        how.temperature = 0.25 * static_cast<double>(one.up_to(8));
        how.top_k = one.up_to(6);
        how.top_p = one.up_to(1) == 0 ? 1.0 : 0.05 + 0.15 * static_cast<double>(one.up_to(6));
        how.top_p_first = one.up_to(1) == 0;
        compare(one,
                sampler{cosine_steps{how.steps}, margin{score_from::shaped},
                        categorical{how.temperature, how.top_k, how.top_p,
                                    how.top_p_first ? filter_order::top_p_then_top_k : filter_order::top_k_then_top_p},
                        block_length{how.block_length}},
                how, seed);
    });
}

TEST_CASE("timesteps, negative_entropy, raw and shaped") {
    for_random_cases([](random_case& one, scalar::policies& how, std::uint64_t seed) {
        how.schedule = scalar::schedule::timesteps;
        how.epsilon = 1e-3;
        how.score = scalar::score::negative_entropy;
        how.shaped = one.up_to(1) == 0;
        how.temperature = 1.5;
        how.top_k = one.up_to(5);
        compare(one,
                sampler{timesteps{how.steps, how.epsilon},
                        negative_entropy{how.shaped ? score_from::shaped : score_from::raw},
                        categorical{.temperature = how.temperature, .top_k = how.top_k},
                        block_length{how.block_length}},
                how, seed);
    });
}

TEST_CASE("random_order, never_stop") {
    for_random_cases([](random_case& one, scalar::policies& how, std::uint64_t seed) {
        how.score = scalar::score::random_order;
        how.stop_at_end = false;
        compare(one, sampler{steps{how.steps}, random_order{}, block_length{how.block_length}, never_stop{}}, how,
                seed);
    });
}

TEST_CASE("threshold, raw and shaped, whatever the steps") {
    for_random_cases([](random_case& one, scalar::policies& how, std::uint64_t seed) {
        how.selector = scalar::selector::threshold;
        how.threshold = 0.1 * static_cast<double>(one.up_to(9));
        how.shaped = one.up_to(1) == 0;
        how.temperature = 0.7;
        how.top_p = 0.8;
        const score_from source = how.shaped ? score_from::shaped : score_from::raw;
        compare(one,
                sampler{steps{how.steps}, threshold{how.threshold, source}, confidence{source},
                        block_length{how.block_length}, categorical{.temperature = 0.7, .top_p = 0.8}},
                how, seed);
    });
}

TEST_CASE("ancestral: more steps than positions, and fewer") {
    for_random_cases([](random_case& one, scalar::policies& how, std::uint64_t seed) {
        how.selector = scalar::selector::ancestral;
        how.steps = 1 + one.up_to(40);
        how.temperature = 1;
        compare(one, sampler{steps{how.steps}, ancestral{}, categorical{}, block_length{how.block_length}}, how, seed);
    });
}
