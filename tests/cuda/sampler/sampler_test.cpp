// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// The sampler on the GPU against the sampler on the CPU, with a model that is the same on both: the same tokens, the same
// statistics, the same story told to an observer.

#include <algorithm>
#include <cstdint>
#include <random>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include <doctest/doctest.h>

#include <unmask/sampler/presets.hpp>
#include <unmask/sampler/sampler.cuh>
#include <unmask/sampler/score/end_last.hpp>
#include <unmask/sampler/score/noisy.hpp>
#include <unmask/sampler/selector/combine.hpp>
#include <unmask/sampler/selector/kl_stable.hpp>
#include <unmask/sampler/stop/any.hpp>
#include <unmask/sampler/stop/repetition.hpp>
#include <unmask/sampler/stop/tokens.hpp>

#include "twin_models.hpp"

namespace {

using namespace test;

struct told {
    index_t call;
    index_t masked;
    std::vector<std::tuple<index_t, index_t, token_t, double, double, change>> commitments;
    std::vector<token_t> tokens;

    friend bool operator==(const told&, const told&) = default;
};

// Keeps what it is told, and ends the run after some steps.
struct listener {
    std::vector<told>& story;
    index_t last = 1'000'000;

    bool operator()(const sampler_step& step) const {
        told& now = story.emplace_back(told{step.call, step.masked, {}, {}});
        for (const commitment& each : step.commitments) {
            now.commitments.emplace_back(each.where.sequence, each.where.position, each.token, each.score.value,
                                         each.log_probability, each.change);
        }
        now.tokens.assign(step.canvas.tokens().begin(), step.canvas.tokens().end());
        return step.call < last;
    }
};

constexpr vocabulary letters{.size = 21, .mask = 20, .end = 0};

// Sequences of many shapes: prompts before, between and after what is to be filled; with the mask and the end in them.
canvas some_texts(const vocabulary& tokens, std::mt19937& random) {
    canvas page(tokens);
    const auto letter = [&] { return static_cast<token_t>(random() % 20); };
    for (const index_t length : {0, 1, 5, 20}) {
        std::vector<token_t> prompt(random() % 7);
        std::generate(prompt.begin(), prompt.end(), letter);
        page.add(prompt, length);
    }
    std::vector<token_t> infill(40);
    for (token_t& token : infill) {
        token = random() % 3 == 0 ? letter() : random() % 20 == 0 ? tokens.mask : blank;
    }
    page.add_infill(infill, 1234567890123ULL);
    page.add({}, 37);
    return page;
}

bool same_counts(const statistics& a, const statistics& b) {
    return a.calls == b.calls && a.rows == b.rows && a.nfe.denoise == b.nfe.denoise && a.committed == b.committed &&
           a.filled == b.filled && a.useful == b.useful && a.remasked == b.remasked && a.wasted == b.wasted &&
           a.stopped_early == b.stopped_early;
}

bool same_texts(const canvas& a, const canvas& b) {
    for (index_t i = 0; i < a.sequences(); ++i) {
        if (!std::ranges::equal(a.tokens(i), b.tokens(i)) || !std::ranges::equal(a.states(i), b.states(i))) {
            return false;
        }
    }
    return a.masked() == b.masked();
}

// Another one for each sampler.
unsigned next_seed() {
    static unsigned seed = 0;
    return ++seed;
}

template <class Logit = float, bool Shifts = false, class Sampler>
void check_against_cpu(const Sampler& sampler, const vocabulary& tokens = letters) {
    const unsigned seed = next_seed();
    CAPTURE(seed);
    std::mt19937 random(seed);
    const canvas texts = some_texts(tokens, random);
    const noise says{seed};

    canvas expected = texts;
    std::vector<told> expected_story;
    const statistics expected_counts =
        sampler(cpu_executor{1}, host_model<Logit, Shifts>{tokens, says}, expected, seed, listener{expected_story});
    canvas got = texts;
    std::vector<told> story;
    const device_model<Logit, Shifts> model{tokens, says};
    const statistics counts = sampler(cuda_executor{}, model, got, seed, listener{story});
    CHECK(same_texts(got, expected));
    CHECK(same_counts(counts, expected_counts));
    CHECK(story == expected_story);
    CHECK(expected.masked() == 0);
    CHECK(model.calls <= counts.calls + 8); // none but the last look is late
}

// A score of a user's own that goes wrong late.
struct not_a_score {
    static constexpr auto kind = policy_kind::score;

    UNMASK_HOST_DEVICE score operator()(const candidate& position) const {
        const double wrong = static_cast<double>(detail::not_a_number);
        return {position.where.sequence == 4 && position.where.position > 30 ? wrong : position.random};
    }
};

// One that looks at what no other does.
struct of_rare_numbers {
    static constexpr auto kind = policy_kind::score;

    UNMASK_HOST_DEVICE score operator()(const candidate& position) const {
        const bool unknown = position.divergence > 1e300 && position.held_log_probability < -1e300;
        return {unknown ? static_cast<double>(detail::element(position.words, 1) % 100) + position.held : -1};
    }
};

static_assert(detail::cuda::waits_for_tokens<stop_at_any<stop_at_end, stop_at_tokens>>);
static_assert(!detail::cuda::waits_for_tokens<stop_at_any<stop_at_end, stop_at_repetition>>);

} // namespace

TEST_CASE("the defaults, watched or not") {
    check_against_cpu(sampler{steps{16}});
    check_against_cpu(sampler{});
    check_against_cpu<bfloat16>(sampler{steps{16}});
    check_against_cpu(sampler{steps{16}}, {.size = 20, .mask = 20, .end = {}}); // a mask without a logit, no end

    std::mt19937 random(77);
    canvas page = some_texts(letters, random);
    canvas expected = page;
    const sampler sampler{steps{16}};
    const statistics counts = sampler(cuda_executor{}, device_model<float>{letters, {7}}, page, 77);
    CHECK(same_counts(counts, sampler(cpu_executor{1}, host_model<float>{letters, {7}}, expected, 77)));
    CHECK(same_texts(page, expected));
}

TEST_CASE("a sequence longer than a block has threads") {
    canvas page(letters);
    page.add(std::vector<token_t>{3}, 2 * detail::cuda::step_threads + 5);
    canvas expected = page;
    const sampler sampler{steps{3}};
    sampler(cuda_executor{}, device_model<float>{letters, {7}}, page, 77);
    sampler(cpu_executor{1}, host_model<float>{letters, {7}}, expected, 77);
    CHECK(same_texts(page, expected));
}

TEST_CASE("more candidates than a block can sort") {
    constexpr vocabulary few{.size = 3, .mask = 3, .end = {}};
    canvas page(few);
    page.add({}, 30);
    page.add({}, detail::cuda::largest_rank_tile + 300);
    canvas expected = page;
    const sampler sampler{steps{2}, either{top_k{}, factor{1e-9}}}; // the second only the surest, of many equal ones
    noise says{8};
    says.forgetful = true;
    std::vector<told> stories[2]; // the text alone does not say who came first
    sampler(cuda_executor{}, device_model<bfloat16>{few, says}, page, 77, listener{stories[0]});
    sampler(cpu_executor{1}, host_model<bfloat16>{few, says}, expected, 77, listener{stories[1]});
    CHECK(same_texts(page, expected));
    CHECK(stories[0] == stories[1]);
}

TEST_CASE("schedules, and blocks of many lengths") {
    check_against_cpu(sampler{steps{30}, block_length{16}});
    check_against_cpu(sampler{steps{7}, block_length{3}}); // fewer steps than blocks
    check_against_cpu(sampler{steps_per_block{3}, block_length{16, block_origin::sequence}});
    check_against_cpu(sampler{cosine_steps{20}, block_length{64}});
    check_against_cpu(sampler{timesteps{20}});
    check_against_cpu(sampler{timesteps{.count = 60, .floor_quota = true}}); // steps that make no call
}

TEST_CASE("draws") {
    check_against_cpu(sampler{steps{16}, categorical{}});
    check_against_cpu(sampler{steps{16}, categorical{.temperature = 0.6}, confidence{score_from::shaped}});
    check_against_cpu<bfloat16>(sampler{steps{16}, categorical{.temperature = 1.5}});
    const auto filtered = [](const categorical& draw) {
        return sampler{steps{8}, draw, confidence{score_from::shaped}};
    };
    check_against_cpu(filtered({.top_k = 3}));
    check_against_cpu(filtered({.temperature = 0, .top_k = 2}));
    check_against_cpu(filtered({1.2, 5, 0.8, filter_order::top_p_then_top_k}));
    check_against_cpu(filtered({.top_k = 21, .top_p = 1})); // which keep all
    check_against_cpu<bfloat16>(sampler{steps{16}, categorical{.temperature = 0.8, .top_p = 0.7}});
}

TEST_CASE("scores") {
    check_against_cpu(sampler{steps{16}, margin{}});
    check_against_cpu(sampler{steps{16}, negative_entropy{score_from::shaped}, categorical{.temperature = 0.8}});
    check_against_cpu(sampler{steps{16}, random_order{}});
    check_against_cpu(sampler{steps{16}, noisy{confidence{}, 0.5}});
    check_against_cpu(sampler{steps{16}, end_last{margin{}, 0, 3}});
    check_against_cpu(sampler{steps{16}, of_rare_numbers{}});
}

TEST_CASE("selectors") {
    check_against_cpu(sampler{steps{16}, threshold{0.3, score_from::shaped, true}, categorical{.temperature = 0.7}});
    check_against_cpu(sampler{steps{16}, entropy_bound{0.0}});
    check_against_cpu(sampler{steps{16}, or_quota{factor{1.2}}, random_order{}});
    check_against_cpu(sampler{steps{16}, either{top_k{}, threshold{0.5}}});
    check_against_cpu(sampler{steps{16}, both{factor{2}, either{top_k{}, hierarchical{0.3, 0.4}}}});
    check_against_cpu(sampler{steps{16}, either{both{top_k{}, threshold{0.4}}, both{hierarchical{}, factor{3}}}});
    check_against_cpu(sampler{steps{16}, random_order{}, both{factor{3}, top_k{}}}); // in two orders

    constexpr vocabulary certain{.size = 2, .mask = 1, .end = {}}; // nothing is lost, so nothing is held back
    canvas page(certain);
    page.add({}, 9);
    CHECK(sampler{entropy_bound{0.0}}(cuda_executor{}, device_model<float>{certain, {}}, page, 1).calls == 1);
}

TEST_CASE("selectors that look at how distributions move") {
    const auto klass = presets::klass({.steps = 16, .confidence = 0.2, .divergence = 2, .divergence_steps = 1});
    check_against_cpu<bfloat16>(sampler{steps{16}, kl_stable{.confidence = 0.1, .divergence = 4}, block_length{20}});
    check_against_cpu(sampler{steps{16}, either{threshold{0.9}, kl_stable{0.1, 3, 3}}});

    constexpr vocabulary many{.size = 5 * 1024 + 77, .mask = 1500, .end = {}}; // more chunks than a block has warps
    canvas page(many);
    page.add({}, 6);
    canvas expected = page;
    klass(cuda_executor{}, device_model<float>{many, {4}}, page, 5);
    klass(cpu_executor{1}, host_model<float>{many, {4}}, expected, 5);
    CHECK(same_texts(page, expected));
}

TEST_CASE("selectors that come before the model") {
    check_against_cpu(sampler{cosine_steps{400}, ancestral{}, block_length{50}, categorical{}});
}

TEST_CASE("presets") {
    check_against_cpu(presets::llada({.steps = 20, .block_length = 8, .temperature = 0.7}));
    check_against_cpu(presets::dream({.steps = 20, .temperature = 0.6, .top_p = 0.9, .top_k = 12, .alg_temp = 2}));
    check_against_cpu(presets::dream_origin({.steps = 20, .temperature = 1.2, .top_p = 0.9}));
    check_against_cpu(presets::fast_dllm({.threshold = 0.5}));
    check_against_cpu(presets::fast_dllm({.threshold = 0.999, .temperature = 0.8})); // often none: the surest one
    check_against_cpu(presets::fast_dllm_factor({.factor = 1.5}));
    check_against_cpu(presets::dinfer_hierarchy({.threshold = 0.5, .low_threshold = 0.2}));
    check_against_cpu(presets::llada2({.steps = 4, .block_length = 8, .threshold = 0.6, .temperature = 1, .top_k = 9}));
    check_against_cpu(presets::klass({.steps = 16, .confidence = 0.2, .divergence = 2, .divergence_steps = 1}));
    check_against_cpu(presets::eb({.gamma = 2.5}));
    check_against_cpu(presets::mdlm({.steps = 25}));
    check_against_cpu(presets::mdlm_first_hitting());
}

TEST_CASE("logits that are shifted") {
    check_against_cpu<float, true>(sampler{steps{16}, categorical{}});
    check_against_cpu<float, true>(sampler{steps{20}, block_length{8}});
}

TEST_CASE("logits that are streamed") {
    constexpr vocabulary many{.size = 2 * 1024 + 77, .mask = 1500, .end = 3};
    std::mt19937 random(21);
    canvas texts(many);
    texts.add(std::vector<token_t>{7, 1500, 2000}, 6);
    texts.add({}, 3);
    const auto check = [&](const auto& sampler, int tile) {
        canvas page = texts;
        canvas expected = texts;
        const noise says{static_cast<std::uint32_t>(random())};
        const auto counts = sampler(cuda_executor{}, streaming_model{many, says, tile}, page, 5);
        CHECK(same_counts(counts, sampler(cpu_executor{1}, host_model<float>{many, says}, expected, 5)));
        CHECK(same_texts(page, expected));
    };
    check(sampler{steps{4}}, 1024);
    check(sampler{steps{4}, margin{}, categorical{}}, 1024);
    check(sampler{steps{4}, categorical{.temperature = 0.8}, negative_entropy{score_from::shaped}}, 2048);

    const auto message = [&](const streaming_model& model) {
        canvas page = texts;
        try {
            sampler{}(cuda_executor{}, model, page, 1);
        } catch (const std::exception& error) {
            return std::string(error.what());
        }
        return std::string();
    };
    CHECK(message({many, {1}, 1024, 4}) ==
          "sampler: the logits of sequence 0, position 4 are missing from token 1062 on");
    CHECK(message({many, {1}, 1024, -1, 4}) ==
          "sampler: the logits of sequence 0, position 4 are missing from token 0 on");
    CHECK(message({many, {1, 5}}) ==
          "sampler: the logits of sequence 0, position 5 are NaN or +infinity among tokens 0 … 1023");
}

TEST_CASE("stop rules") {
    check_against_cpu(sampler{steps{40}, block_length{8}, never_stop{}});
    check_against_cpu(sampler{steps{40}, block_length{8}, threshold{0.2}, stop_at_end{}});
    check_against_cpu(sampler{steps{40}, block_length{8}, stop_at_tokens{{3, 11, 4}}});
    check_against_cpu(sampler{steps{40}, block_length{8}, stop_at_any{stop_at_end{}, stop_at_tokens{{7}}}});
    // A sequence that is done before the first step.
    canvas page(letters);
    page.add(std::vector<token_t>{4, 5}, 6);
    page.commit(0, 2, 0);
    canvas expected = page;
    const sampler sampler{steps{4}};
    const statistics counts = sampler(cuda_executor{}, device_model<float>{letters, {}}, page, 1);
    const statistics of_cpu = sampler(cpu_executor{1}, host_model<float>{letters, {}}, expected, 1);
    CHECK(same_texts(page, expected));
    CHECK(same_counts(counts, of_cpu));
    CHECK(counts.calls == 0);
}

TEST_CASE("without an end token, what comes after the end stays as it is") {
    constexpr vocabulary no_end{.size = 21, .mask = 20, .end = {}};
    std::mt19937 random(31);
    canvas page = some_texts(no_end, random);
    page.add({}, 5);
    page.commit(page.sequences() - 1, 0, 6); // done before the first step
    canvas expected = page;
    std::vector<told> stories[2];
    const sampler sampler{steps{40}, block_length{4}, stop_at_tokens{{2, 6, 9}}};
    const auto counts = sampler(cuda_executor{}, device_model<float>{no_end, {3}}, page, 9, listener{stories[0]});
    const auto of_cpu = sampler(cpu_executor{1}, host_model<float>{no_end, {3}}, expected, 9, listener{stories[1]});
    CHECK(same_texts(page, expected));
    CHECK(same_counts(counts, of_cpu));
    CHECK(stories[0] == stories[1]);
    CHECK(page.masked(page.sequences() - 1) == 4);
    CHECK(page.masked() > 4);
}

TEST_CASE("an observer that has seen enough") {
    std::mt19937 random(5);
    const canvas texts = some_texts(letters, random);
    const sampler sampler{steps{16}};
    std::vector<told> stories[2];
    canvas pages[2] = {texts, texts};
    const auto of_cpu = sampler(cpu_executor{1}, host_model<float>{letters, {3}}, pages[0], 9, listener{stories[0], 3});
    const device_model<float> model{letters, {3}};
    const auto counts = sampler(cuda_executor{}, model, pages[1], 9, listener{stories[1], 3});
    CHECK(stories[0] == stories[1]);
    CHECK(counts.calls < 9); // the device stops soon after
    CHECK(model.calls <= 16);
    CHECK(same_texts(pages[0], pages[1]));
    CHECK(counts.stopped_early);
    CHECK(counts.committed == of_cpu.committed);

    canvas page = texts;
    CHECK_THROWS_AS(sampler(cuda_executor{}, device_model<float>{letters, {3}}, page, 9,
                            [](const sampler_step&) { throw std::runtime_error("enough"); }),
                    std::runtime_error);
    CHECK(same_texts(page, texts));
}

TEST_CASE("what is wrong is said, and the canvas is as before") {
    std::mt19937 random(6);
    const canvas texts = some_texts(letters, random);
    canvas page = texts;
    const auto message = [&](const auto& exec, const auto& sampler, const auto& model) {
        try {
            sampler(exec, model, page, 1);
        } catch (const std::exception& error) {
            CHECK(same_texts(page, texts));
            return std::string(error.what());
        }
        return std::string();
    };
    std::vector<told> stories[2]; // up to the step that goes wrong
    const sampler late{block_length{12}, never_stop{}};
    CHECK_THROWS_AS(late(cuda_executor{}, device_model<float>{letters, {1, 19}}, page, 1, listener{stories[0]}),
                    non_finite_logits);
    CHECK_THROWS_AS(late(cpu_executor{1}, host_model<float>{letters, {1, 19}}, page, 1, listener{stories[1]}),
                    non_finite_logits);
    CHECK(stories[0] == stories[1]);
    CHECK(stories[0].size() > 2);

    const std::string bad = message(cuda_executor{}, sampler{steps{16}}, device_model<float>{letters, {1, 19}});
    CHECK(bad == "sampler: the logits of sequence 3, position 19 are NaN at token 0");
    CHECK(bad == message(cpu_executor{1}, sampler{steps{16}}, host_model<float>{letters, {1, 19}}));
    CHECK(bad ==
          message(cuda_executor{}, sampler{steps{16}, categorical{.top_k = 3}}, device_model<float>{letters, {1, 19}}));
    CHECK(message(cuda_executor{}, sampler{steps{16}, categorical{.top_k = 3}}, streaming_model{letters, {1}}) ==
          "sampler: categorical.top_k is 3, expected 0: no such filter");
    CHECK(message(cuda_executor{}, sampler{}, device_model<float>{{.size = 22, .mask = 20, .end = 0}, {1}})
              .find("canvas.vocabulary()") != std::string::npos);
    const sampler many_ends{stop_at_tokens{std::vector<token_t>(17, 5)}};
    CHECK(message(cuda_executor{}, many_ends, device_model<float>{letters, {1}}) ==
          "sampler: the number of tokens that end a text is more than 16, expected at most 16 on cuda_executor");
    const auto score_message = "sampler: the score is NaN, expected a number or an infinity";
    CHECK(message(cuda_executor{}, sampler{steps{16}, not_a_score{}}, device_model<float>{letters, {1}}) ==
          score_message);
    CHECK(message(cpu_executor{1}, sampler{steps{16}, not_a_score{}}, host_model<float>{letters, {1}}) ==
          score_message);
}
