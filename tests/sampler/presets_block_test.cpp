// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <algorithm>
#include <cmath>

#include <unmask/sampler/presets.hpp>

#include "models.hpp"
#include "preset_run.hpp"
#include "pseudo_code.hpp"

// LLaDA2's and SDAR's block diffusion against its published loop, and by hand.

using namespace sampler_test;

namespace {

constexpr vocabulary tokens{.size = 9, .mask = 4, .end = {}};

// What other samplers of the field do, to see that the comparison would notice.
struct deviation {
    bool blocks_from_prompt = false; // and not from position 0
    bool raw_confidence = false;     // before temperature and filters
    bool or_best = false;            // if none is above the threshold the surest, instead of the scheduled number
    bool quota_of_block = false;     // from the block's length, not from its masks: see below
};

// SDAR's block_diffusion_generate with low_confidence_dynamic; LLaDA2's generate is the same loop.
template <class Logits>
generation block_diffusion_generate(const Logits& logits, const std::vector<token_t>& prompt, std::size_t masks,
                                    const presets::block_options& options, std::uint64_t seed,
                                    const deviation& other = {}) {
    generation result;
    std::vector<token_t>& x = result.text;
    x = prompt;
    x.resize(prompt.size() + masks, tokens.mask);
    const auto block_length = static_cast<std::size_t>(options.block_length);
    const auto denoising_steps = static_cast<std::size_t>(options.steps);
    const std::size_t prefill_blocks = prompt.size() / block_length;
    std::size_t begin = other.blocks_from_prompt ? prompt.size() : prefill_blocks * block_length;
    for (; begin < x.size(); begin += block_length) {
        const std::size_t end = std::min(x.size(), begin + block_length);
        // The original spreads the block's length over the steps, also if a prompt has a part of it; ours its masks.
        // For as many steps as positions, as published, both are one a step.
        const auto from = x.begin() + static_cast<std::ptrdiff_t>(begin);
        const auto to = x.begin() + static_cast<std::ptrdiff_t>(end);
        const std::size_t total =
            other.quota_of_block ? block_length : static_cast<std::size_t>(std::count(from, to, tokens.mask));
        for (std::size_t step = 0; std::count(from, to, tokens.mask) > 0; ++step) {
            std::vector<double> confidence(x.size(), -INFINITY);
            std::vector<token_t> x0 = x;
            std::size_t num_high_confidence = 0;
            for (std::size_t l = begin; l < end; ++l) {
                if (x[l] == tokens.mask) {
                    const bool cold = options.temperature == 0;
                    const auto q = row_of(logits, tokens, x, l, cold ? 1 : options.temperature);
                    const auto shaped = scalar::keep_top_p(scalar::keep_top_k(q, options.top_k), options.top_p);
                    const double u = numbers(seed, l, static_cast<std::uint32_t>(result.calls)).token;
                    x0[l] = cold ? argmax(shaped) : draw_from(shaped, u);
                    confidence[l] = entry(other.raw_confidence ? row_of(logits, tokens, x, l) : shaped, x0[l]);
                    num_high_confidence += confidence[l] > options.threshold ? 1 : 0;
                }
            }
            const std::size_t num_transfer_tokens = total / denoising_steps + (step < total % denoising_steps ? 1 : 0);
            const auto order = scalar::by_probability(confidence);
            const std::size_t least = other.or_best ? 1 : num_transfer_tokens;
            for (std::size_t k = 0; k < std::max(num_high_confidence, least); ++k) {
                x[order[k]] = x0[order[k]];
            }
            for (std::size_t l = begin; l < end; ++l) {
                if (confidence[l] >= 0 && x[l] != tokens.mask) {
                    result.trace.push_back({result.calls, static_cast<index_t>(l), x[l]});
                }
            }
            ++result.calls;
        }
    }
    return result;
}

} // namespace

TEST_CASE("sdar: a trace worked out by hand") {
    // Blocks 0..3, which the prompt shares, and 4..6. Four steps for three masks: one a step, or all above 0.85.
    // 0.5 0.9 0.7: 2, as 0.9; then 3, then 1, the surest. 0.6 0.95 0.8: 5, as 0.95; then 6, then 4.
    const std::vector<event> expected{{0, 2, 1}, {1, 3, 2}, {2, 1, 0}, {3, 5, 1}, {4, 6, 2}, {5, 4, 0}};
    CHECK(generate(presets::sdar(), six_rows(), three, {2}, 6).trace == expected);
}

TEST_CASE("llada2: a trace worked out by hand") {
    const auto run = [](const presets::block_options& options) {
        return generate(presets::llada2(options), six_rows(), three, {2}, 6).trace;
    };
    // Above 0.65 are 2 and 3, more than the one that is scheduled: both. Then 1. Then 5 and 6, then 4.
    CHECK(run({.steps = 3, .block_length = 4, .threshold = 0.65}) ==
          std::vector<event>{{0, 2, 1}, {0, 3, 2}, {1, 1, 0}, {2, 5, 1}, {2, 6, 2}, {3, 4, 0}});
    // Two steps for three masks: two are scheduled, and above 0.85 is one, 2 or 5. So the surest two, then the last.
    CHECK(run({.steps = 2, .block_length = 4, .threshold = 0.85}) ==
          std::vector<event>{{0, 2, 1}, {0, 3, 2}, {1, 1, 0}, {2, 5, 1}, {2, 6, 2}, {3, 4, 0}});
    // Confidence is of what the filters leave: of one token 1, for every position.
    CHECK(run({.steps = 4, .block_length = 4, .threshold = 0.95, .top_k = 1}) ==
          std::vector<event>{{0, 1, 0}, {0, 2, 1}, {0, 3, 2}, {1, 4, 0}, {1, 5, 1}, {1, 6, 2}});
    // Nothing is above 1, not even that.
    CHECK(run({.steps = 4, .block_length = 4, .threshold = 1, .top_k = 1}).back() == event{5, 6, 2});
}

TEST_CASE("llada2: tokens at the threshold are not above it") {
    const any_logits two_equal = [](std::span<const token_t>, index_t, token_t token) {
        return token < 2 ? 1.5F : -infinity;
    };
    const vocabulary four{.size = 4, .mask = 3, .end = {}};
    const presets::block_options options{.steps = 4, .block_length = 4, .threshold = 0.5};
    CHECK(generate(presets::llada2(options), two_equal, four, {}, 4).calls == 4);
    auto model = make_model(four, two_equal);
    canvas page(four);
    page.add({}, 4);
    presets::fast_dllm({.threshold = 0.5, .block_length = 4})(cpu_executor{1}, model, page, 1);
    CHECK(model.calls == 1); // where they reach it
}

TEST_CASE("llada2 and sdar are block_diffusion_generate, whatever the prompt leaves of its last block") {
    int differs[3] = {};
    for (std::uint64_t seed = 0; seed < 60; ++seed) {
        CAPTURE(seed);
        const random_logits logits{seed, 6};
        const std::vector<token_t> prompt(seed % 7, 5);
        const std::size_t masks = 5 + seed % 11;
        const presets::block_options options{.steps = static_cast<index_t>(1 + seed % 5),
                                             .block_length = static_cast<index_t>(3 + seed % 4),
                                             .threshold = 0.5 + 0.1 * static_cast<double>(seed % 5),
                                             .temperature =
                                                 seed % 3 == 0 ? 0 : 0.3 + 0.4 * static_cast<double>(seed % 3),
                                             .top_k = static_cast<index_t>(seed % 4 == 0 ? 0 : 1 + seed % 4),
                                             .top_p = seed % 2 == 0 ? 1 : 0.8};
        const auto sampler = seed % 2 == 0 ? presets::llada2(options) : presets::sdar(options);
        const auto ours = generate(sampler, logits, tokens, prompt, masks, seed);
        const auto theirs = [&](const deviation& other) {
            return block_diffusion_generate(logits, prompt, masks, options, seed, other);
        };
        REQUIRE(ours == theirs({}));
        const bool same[3] = {ours == theirs({.blocks_from_prompt = true}), ours == theirs({.raw_confidence = true}),
                              ours == theirs({.or_best = true})};
        for (int i = 0; i < 3; ++i) {
            differs[i] += same[i] ? 0 : 1;
        }
    }
    CHECK(differs[0] > 20);
    CHECK(differs[1] > 20);
    CHECK(differs[2] > 10);
}

TEST_CASE("llada2 with a step for every position: schedules of the block's length and of its masks are one") {
    for (std::uint64_t seed = 0; seed < 30; ++seed) {
        CAPTURE(seed);
        const random_logits logits{seed, 6};
        const std::vector<token_t> prompt(seed % 6, 5);
        const auto length = static_cast<index_t>(1 + seed % 8);
        const presets::block_options options{.steps = length, .block_length = length, .threshold = 0.7};
        const auto ours = generate(presets::llada2(options), logits, tokens, prompt, 13, seed);
        REQUIRE(ours == block_diffusion_generate(logits, prompt, 13, options, seed, {.quota_of_block = true}));
    }
}
