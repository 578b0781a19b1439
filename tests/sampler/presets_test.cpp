// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <cmath>

#include <unmask/sampler/presets.hpp>

#include "models.hpp"
#include "preset_run.hpp"
#include "pseudo_code.hpp"

// The presets against the published pseudo-code: traces worked out by hand, and the loops as they are written there.

using namespace sampler_test;

namespace {

// LLaDA's generate() at temperature 0, low_confidence: samplers in the field write it so.
template <class Logits>
std::vector<token_t> llada_generate(const Logits& logits, const vocabulary& tokens, std::vector<token_t> prompt,
                                    std::size_t gen_length, std::size_t steps, std::size_t block_length) {
    std::vector<token_t> x = prompt;
    x.resize(prompt.size() + gen_length, tokens.mask);
    const std::size_t num_blocks = gen_length / block_length;
    steps /= num_blocks;
    for (std::size_t num_block = 0; num_block < num_blocks; ++num_block) {
        const std::size_t begin = prompt.size() + num_block * block_length;
        const std::size_t end = begin + block_length;
        for (std::size_t i = 0; i < steps; ++i) {
            const std::size_t num_transfer = block_length / steps + (i < block_length % steps ? 1 : 0);
            std::vector<token_t> x0 = x;
            std::vector<double> confidence(x.size(), -INFINITY);
            for (std::size_t j = begin; j < end; ++j) {
                if (x[j] == tokens.mask) {
                    const auto q = row_of(logits, tokens, x, j);
                    const std::size_t best = scalar::by_probability(q)[0];
                    x0[j] = static_cast<token_t>(best);
                    confidence[j] = q[best];
                }
            }
            const auto order = scalar::by_probability(confidence);
            for (std::size_t k = 0; k < num_transfer; ++k) {
                x[order[k]] = x0[order[k]];
            }
        }
    }
    return x;
}

// Dream's diffusion_generate() for one sequence: logits shifted, quota rounded down. The draws are our sampler's.
template <class Logits, class Score>
std::vector<token_t> dream_generate(const Logits& logits, const vocabulary& tokens, std::vector<token_t> x,
                                    const presets::dream_options& options, Score score, std::uint64_t seed = 1) {
    const auto steps = static_cast<std::size_t>(options.steps);
    for (std::size_t i = 0; i < steps; ++i) {
        const double t = 1 - static_cast<double>(i) * (1 - options.epsilon) / static_cast<double>(steps);
        const double s = 1 - static_cast<double>(i + 1) * (1 - options.epsilon) / static_cast<double>(steps);
        std::vector<double> earliness(x.size(), -INFINITY);
        std::vector<token_t> x0 = x;
        double num_mask_token = 0;
        for (std::size_t j = 0; j < x.size(); ++j) {
            if (x[j] == tokens.mask) {
                const bool cold = options.temperature == 0;
                const auto tempered = row_of(logits, tokens, x, j == 0 ? 0 : j - 1, cold ? 1 : options.temperature);
                const auto q = scalar::keep_top_k(scalar::keep_top_p(tempered, options.top_p), options.top_k);
                const numbers u(seed, j, static_cast<std::uint32_t>(i));
                x0[j] = cold ? argmax(q) : draw_from(q, u.token);
                const double confidence = score(q, x0[j]);
                // The original asks for a multinomial of softmax(confidence / alg_temp) without replacement. That is a
                // race of exponential times with these rates; one number a position decides it.
                const double log_rate = options.alg_temp > 0 ? confidence / options.alg_temp : 0;
                const double log_time = std::log(-std::log1p(-u.order)) - log_rate;
                earliness[j] = options.alg_temp > 0 ? -log_time : confidence;
                ++num_mask_token;
            }
        }
        const auto transfer = static_cast<std::size_t>(i + 1 < steps ? num_mask_token * (1 - s / t) : num_mask_token);
        const auto order = scalar::by_probability(earliness);
        for (std::size_t k = 0; k < transfer; ++k) {
            x[order[k]] = x0[order[k]];
        }
    }
    return x;
}

double maskgit_plus(const scalar::distribution& q, token_t token) {
    return entry(q, token);
}
double topk_margin(const scalar::distribution& q, token_t /*token*/) {
    const auto order = scalar::by_probability(q);
    return q[order[0]] - q[order[1]];
}
double sum_p_log_p(const scalar::distribution& q, token_t /*token*/) {
    return -scalar::entropy(q);
}

template <class Sampler>
std::vector<token_t> dream_run(const Sampler& sampler, const any_logits& logits, const vocabulary& tokens,
                               std::size_t prompt, std::uint64_t seed = 1) {
    auto model = make_model<true>(tokens, logits);
    canvas page(tokens);
    page.add(std::vector<token_t>(prompt, 5), static_cast<index_t>(14 - prompt));
    sampler(cpu_executor{1}, model, page, seed);
    return to_vector(page.tokens(0));
}

} // namespace

TEST_CASE("llada: a trace worked out by hand") {
    auto model = make_model(three, six_rows());
    canvas page = six_masks();
    // Two blocks of three positions, two steps each: of three masks, 2 and then 1.
    // Block 1..3 has p 0.5 0.9 0.7: first 2 and 3, then 1. Block 4..6 has 0.6 0.95 0.8: first 5 and 6, then 4.
    const std::vector<event> expected{{0, 2, 1}, {0, 3, 2}, {1, 1, 0}, {2, 5, 1}, {2, 6, 2}, {3, 4, 0}};
    CHECK(events(presets::llada({.steps = 4, .block_length = 3}), model, page) == expected);
}

TEST_CASE("llada: one block, steps that do not divide it") {
    auto model = make_model(three, six_rows());
    canvas page = six_masks();
    // Six masks in four steps: 2 2 1 1, by falling p: 5 2 6 3 4 1.
    const std::vector<event> expected{{0, 2, 1}, {0, 5, 1}, {1, 3, 2}, {1, 6, 2}, {2, 4, 0}, {3, 1, 0}};
    CHECK(events(presets::llada({.steps = 4}), model, page) == expected);
}

TEST_CASE("llada: steps that the blocks can't share evenly go to the first ones") {
    auto model = make_model(three, six_rows());
    canvas page = six_masks();
    // Five steps for three blocks of two: 2 2 1.
    const std::vector<event> expected{{0, 2, 1}, {1, 1, 0}, {2, 3, 2}, {3, 4, 0}, {4, 5, 1}, {4, 6, 2}};
    CHECK(events(presets::llada({.steps = 5, .block_length = 2}), model, page) == expected);
}

TEST_CASE("llada is its generate.py on random models") {
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
        CAPTURE(seed);
        const vocabulary tokens{.size = 9, .mask = 4, .end = {}};
        const std::size_t block = 2 + 2 * (seed % 4);                                // 2 4 6 8
        const std::size_t blocks = 1 + seed % 3;                                     // 1 2 3
        const std::size_t steps = blocks * (1 + seed % block);                       // any number a block
        const std::vector<token_t> prompt(seed % 5, static_cast<token_t>(seed % 4)); // 0 to 4 tokens
        const random_logits logits{seed};
        auto model = make_model(tokens, logits);
        canvas page(tokens);
        page.add(prompt, static_cast<index_t>(block * blocks));
        const auto sampler =
            presets::llada({.steps = static_cast<index_t>(steps), .block_length = static_cast<index_t>(block)});
        const statistics result = sampler(cpu_executor{1}, model, page, 1);
        REQUIRE(to_vector(page.tokens(0)) == llada_generate(logits, tokens, prompt, block * blocks, steps, block));
        REQUIRE(result.calls == static_cast<index_t>(steps));
    }
}

TEST_CASE("dream: a trace worked out by hand, logits shifted") {
    // Position i is predicted by row i - 1; position 0 is masked too and takes row 0.
    auto model = make_model<true>(three, six_rows());
    canvas page(three);
    page.add({}, 7);
    // Rows for positions 0..6: row 0 (token 0, p .5), row 0 again, then rows 1..5 with p .5 .9 .7 .6 .95.
    // Exact quotas of 7 in 3 steps: 7 t is 4.669, 2.338, 0, so 5 and 2 are left: 2 3 2.
    // By falling p: 6 (.95) 3 (.9) | 4 (.7) 5 (.6) 0 (.5, lowest of equals) | 1 2.
    const auto sampler = presets::dream({.steps = 3}, confidence{score_from::shaped});
    const std::vector<event> expected{{0, 3, 1}, {0, 6, 1}, {1, 0, 0}, {1, 4, 2}, {1, 5, 0}, {2, 1, 0}, {2, 2, 0}};
    CHECK(events(sampler, model, page) == expected);
    CHECK(model.rows == 7 + 5 + 2);
}

TEST_CASE("dream with floor_quota is its generate on random models, for each of its scores") {
    int upside_down = 0;
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
        CAPTURE(seed);
        const vocabulary tokens{.size = 9, .mask = 8, .end = {}};
        const random_logits logits{seed};
        std::vector<token_t> x(seed % 3, 5);
        x.resize(14, tokens.mask);
        // Half are greedy, and of the others all are filtered.
        const presets::dream_options options{.steps = static_cast<index_t>(1 + seed % 14),
                                             .temperature = seed % 2 == 0 ? 0 : 0.5,
                                             .top_p = seed % 2 == 0 ? 1 : 0.9,
                                             .top_k = static_cast<index_t>(seed % 2 == 0 ? 0 : 2 + seed % 3),
                                             .floor_quota = true};
        const auto check = [&](const auto& order, auto score) {
            REQUIRE(dream_run(presets::dream(options, order), logits, tokens, seed % 3, seed) ==
                    dream_generate(logits, tokens, x, options, score, seed));
        };
        check(negative_entropy{score_from::shaped}, sum_p_log_p);
        check(margin{score_from::shaped}, topk_margin);
        check(confidence{score_from::shaped}, maskgit_plus);
        const auto entropy = [](const scalar::distribution& q, token_t) { return scalar::entropy(q); };
        upside_down += dream_run(presets::dream(options), logits, tokens, seed % 3, seed) ==
                               dream_generate(logits, tokens, x, options, entropy, seed)
                           ? 0
                           : 1;
    }
    CHECK(upside_down > 20); // the wrong sign is another text
}

TEST_CASE("dream with alg_temp is its generate on random models, for each of its scores") {
    int without = 0;
    int of_logarithm = 0;
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
        CAPTURE(seed);
        const vocabulary tokens{.size = 9, .mask = 8, .end = {}};
        const random_logits logits{seed};
        const std::size_t prompt =
            1 + seed % 3; // without one, positions 0 and 1 have the same row, and noise breaks the tie
        std::vector<token_t> x(prompt, 5);
        x.resize(14, tokens.mask);
        presets::dream_options options{.steps = static_cast<index_t>(3 + seed % 12),
                                       .temperature = seed % 2 == 0 ? 0 : 0.7,
                                       .alg_temp = 0.1 * static_cast<double>(1 + seed % 4),
                                       .floor_quota = true};
        const auto check = [&](const auto& order, auto score) {
            const auto ours = dream_run(presets::dream(options, order), logits, tokens, prompt, seed);
            REQUIRE(ours == dream_generate(logits, tokens, x, options, score, seed));
            return ours;
        };
        check(negative_entropy{score_from::shaped}, sum_p_log_p);
        check(margin{score_from::shaped}, topk_margin);
        const auto ours = check(confidence{score_from::shaped}, maskgit_plus);
        const auto log_p = [](const scalar::distribution& q, token_t token) { return std::log(entry(q, token)); };
        of_logarithm += ours == dream_generate(logits, tokens, x, options, log_p, seed) ? 0 : 1;
        options.alg_temp = 0;
        const auto quiet = check(confidence{score_from::shaped}, maskgit_plus);
        without += ours == quiet ? 0 : 1;
        options.alg_temp = 1e-9; // hardly any noise: the order of the scores
        REQUIRE(check(confidence{score_from::shaped}, maskgit_plus) == quiet);
    }
    CHECK(without > 20);
    CHECK(of_logarithm > 10);
}

TEST_CASE("dream with alg_temp: a trace worked out by hand") {
    // Two masks, one a step, p = 0.9 at position 1 and 0.6 at 2. The first is the one with the higher p + alg_temp G,
    // G = -log(-log(1 - u)): at alg_temp 0.1, position 2 if G_2 - G_1 is more than 3.
    table_logits table{{row_with(3, 0, 0.9), row_with(3, 1, 0.6), row_with(3, 2, 0.5)}};
    int second = 0;
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        CAPTURE(seed);
        const auto noise = [&](std::size_t position) {
            return -std::log(-std::log1p(-numbers(seed, position, 0).order));
        };
        const token_t first = noise(2) - noise(1) > 3 ? 2 : 1;
        auto model = make_model<true>(three, any_logits(table));
        canvas page(three);
        page.add(std::vector<token_t>{2}, 2);
        const auto sampler = presets::dream({.steps = 2, .alg_temp = 0.1}, confidence{score_from::shaped});
        REQUIRE(events(sampler, model, page, seed)[0] == event{0, first, static_cast<token_t>(first - 1)});
        second += first == 2 ? 1 : 0;
    }
    // The chance is 1 / (1 + e^3) = 0.047: of 200, about 9.5 ± 3.
    CHECK(second > 2);
    CHECK(second < 20);
}

TEST_CASE("dream_origin and mdlm: every masked position on its own with 1 - s/t, then its token") {
    for (std::uint64_t seed = 0; seed < 30; ++seed) {
        CAPTURE(seed);
        const vocabulary tokens{.size = 7, .mask = 7, .end = {}};
        const random_logits logits{seed};
        const auto steps = static_cast<index_t>(1 + 2 * seed);
        const double eps = seed % 2 == 0 ? 0 : 1e-3;

        // x_s from x_t for t = 1 down to 0: masked positions stay so with probability s/t.
        std::vector<token_t> x(12, tokens.mask);
        std::vector<event> expected;
        index_t calls = 0;
        for (index_t i = 0; i < steps; ++i) {
            const double t = 1 - static_cast<double>(i) * (1 - eps) / static_cast<double>(steps);
            const double s =
                i + 1 == steps ? 0 : 1 - static_cast<double>(i + 1) * (1 - eps) / static_cast<double>(steps);
            std::vector<token_t> next = x;
            for (std::size_t j = 0; j < x.size(); ++j) {
                const numbers u(1, j, static_cast<std::uint32_t>(i));
                if (x[j] == tokens.mask && u.order < 1 - s / t) {
                    next[j] = draw_from(row_of(logits, tokens, x, j), u.token);
                    expected.push_back({calls, static_cast<index_t>(j), next[j]});
                }
            }
            calls += next != x ? 1 : 0;
            x = next;
        }
        auto model = make_model(tokens, logits);
        canvas page(tokens);
        page.add({}, 12);
        const auto actual =
            eps == 0 ? events(presets::mdlm({.steps = steps}), model, page)
                     : events(presets::dream_origin({.steps = steps, .temperature = 1, .epsilon = eps}), model, page);
        REQUIRE(actual == expected);
        REQUIRE(model.calls == calls); // no call for steps at which nothing happened
        REQUIRE(model.rows == 12);     // and no row that was not committed
    }
}

TEST_CASE("mdlm: every step commits the same share of the positions, up to chance") {
    auto model = make_model({.size = 4, .mask = 4, .end = {}},
                            [](std::span<const token_t>, index_t, token_t token) { return token == 2 ? 1.0F : 0.0F; });
    canvas page(model.tokens);
    constexpr double positions = 20000;
    constexpr double steps = 20;
    page.add({}, static_cast<index_t>(positions));
    double statistic = 0;
    const auto watch = [&](const sampler_step& step) {
        const double difference = static_cast<double>(step.commitments.size()) - positions / steps;
        statistic += difference * difference / (positions / steps);
    };
    const statistics result = presets::mdlm({.steps = 20})(cpu_executor{}, model, page, 5, watch);
    CHECK(result.calls == 20);
    CAPTURE(statistic);
    CHECK(statistic < 43.8); // 19 degrees of freedom: wrong once in a thousand
    CHECK(statistic > 5.4);  // the same: not evener than chance
}
