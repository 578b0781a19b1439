// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <string>

#include <unmask/sampler/likelihood/likelihood.hpp>
#include <unmask/sampler/logits_stream.hpp>
#include <unmask/sampler/presets.hpp>
#include <unmask/sampler/trace/trace.hpp>

#include "models.hpp"

// Models that give their logits as bfloat16 or tile by tile: the same texts.

using namespace sampler_test;

namespace {

constexpr vocabulary tokens{.size = 2500, .mask = 1030, .end = 2000}; // three chunks of 1024, the last one short

// Logits that a bfloat16 holds exactly.
float coarse(const random_logits& logits, std::span<const token_t> all, index_t position, token_t token) {
    return static_cast<float>(bfloat16(logits(all, position, token)));
}

struct float_model {
    random_logits logits;

    [[nodiscard]] unmask::vocabulary vocabulary() const { return tokens; }
    void denoise(const canvas& page, std::span<const row> rows, tensor_view<float, 2> out) const {
        for (std::size_t i = 0; i < rows.size(); ++i) {
            for (token_t token = 0; token < tokens.size; ++token) {
                out(i, token) = coarse(logits, page.tokens(rows[i].sequence), rows[i].position, token);
            }
        }
    }
};

struct half_model {
    random_logits logits;

    [[nodiscard]] unmask::vocabulary vocabulary() const { return tokens; }
    void denoise(const canvas& page, std::span<const row> rows, tensor_view<bfloat16, 2> out) const {
        for (std::size_t i = 0; i < rows.size(); ++i) {
            for (token_t token = 0; token < tokens.size; ++token) {
                out(i, token) = bfloat16(logits(page.tokens(rows[i].sequence), rows[i].position, token));
            }
        }
    }
};

struct streaming_model {
    random_logits logits;
    index_t left_out = -1; // a row that it writes only a part of

    [[nodiscard]] unmask::vocabulary vocabulary() const { return tokens; }
    void denoise(const canvas& page, std::span<const row> rows, logits_stream& stream) const {
        std::vector<float> tile;
        for (index_t begin = 0; begin < tokens.size; begin += 1024) { // all rows of a tile, as a matrix product would
            for (std::size_t i = 0; i < rows.size(); ++i) {
                if (static_cast<index_t>(i) == left_out && begin > 0) {
                    continue;
                }
                tile.clear();
                for (index_t token = begin; token < std::min<index_t>(begin + 1024, tokens.size); ++token) {
                    tile.push_back(
                        coarse(logits, page.tokens(rows[i].sequence), rows[i].position, static_cast<token_t>(token)));
                }
                stream.write(static_cast<index_t>(i), begin, tile);
            }
        }
    }
};

struct outcome {
    std::vector<token_t> text;
    std::vector<double> numbers;

    friend bool operator==(const outcome&, const outcome&) = default;
};

template <class Sampler, class Model>
outcome run(const Sampler& sampler, Model model, std::uint64_t seed) {
    canvas page(tokens);
    page.add(std::vector<token_t>{1, 2}, 9, 4);
    page.add({}, 5, 6);
    trace recorded;
    sampler(cpu_executor{2}, model, page, seed, recorded);
    outcome result{to_vector(page.tokens()), {}};
    for (const trace::entry& entry : recorded.entries) {
        result.numbers.insert(result.numbers.end(), {entry.what.score.value, entry.what.log_probability});
    }
    return result;
}

template <class Sampler>
void check_same(const Sampler& sampler) {
    for (std::uint64_t seed = 0; seed < 3; ++seed) {
        CAPTURE(seed);
        const random_logits logits{seed, 9};
        const outcome expected = run(sampler, float_model{logits}, seed);
        REQUIRE(run(sampler, half_model{logits}, seed) == expected);
        REQUIRE(run(sampler, streaming_model{logits}, seed) == expected);
    }
}

} // namespace

TEST_CASE("bfloat16 and streamed logits: the same tokens, scores and log-probabilities, bit for bit") {
    check_same(presets::llada({.steps = 4}));
    check_same(presets::llada({.steps = 4, .temperature = 0.6}, margin{score_from::shaped}));
    check_same(sampler{steps{5}, negative_entropy{}, annealed_categorical{1.5, 0.5}, edit{.probability = 0.01}});
}

TEST_CASE("bfloat16 logits and policies that read or change whole rows") {
    const random_logits logits{1, 9};
    const auto check = [&](const auto& sampler) {
        CHECK(run(sampler, half_model{logits}, 1) == run(sampler, float_model{logits}, 1));
    };
    check(presets::llada({.steps = 3, .temperature = 0.6}).with(guidance{1.0}));
    check(presets::klass({.steps = 4, .confidence = 0.1, .divergence = 1}));
}

TEST_CASE("a stream with filters is an error, as is a row that was not written to its end") {
    canvas page(tokens);
    page.add({}, 3);
    const streaming_model model{{1}};
    CHECK_THROWS_AS((sampler{categorical{.top_k = 5}}(cpu_executor{1}, model, page, 1)), invalid_argument);
    CHECK_THROWS_AS((sampler{categorical{.top_p = 0.5}}(cpu_executor{1}, model, page, 1)), invalid_argument);
    const streaming_model lazy{{1}, 1};
    std::string message;
    try {
        sampler{}(cpu_executor{1}, lazy, page, 1);
    } catch (const non_finite_logits& error) {
        message = error.what();
    }
    CHECK(message == "sampler: the logits of sequence 0, position 1 are missing from token 1024 on");
    CHECK(page.masked() == 3);
}

TEST_CASE("likelihoods of models that stream") {
    canvas page(tokens);
    page.add(std::vector<token_t>{1, 2}, 4);
    for (index_t i = 2; i < 6; ++i) {
        page.commit(0, i, static_cast<token_t>(300 * i));
    }
    const random_logits logits{.seed = 2, .spread = 3, .forbidden = 0};
    const likelihood_options options{.samples = 8, .batch = 4};
    const likelihood_bound expected = log_likelihood(cpu_executor{1}, float_model{logits}, page, 0, options);
    const likelihood_bound streamed = log_likelihood(cpu_executor{1}, streaming_model{logits}, page, 0, options);
    CHECK(streamed.value == expected.value);
    CHECK(streamed.value < -20);
}
