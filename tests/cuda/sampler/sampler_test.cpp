// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Runs on the GPU: of every shape, watched, ended early, and gone wrong.

#include <algorithm>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <unmask/sampler/sampler.cuh>
#include <unmask/sampler/selector/combine.hpp>
#include <unmask/sampler/selector/factor.hpp>
#include <unmask/sampler/stop/any.hpp>
#include <unmask/sampler/stop/repetition.hpp>
#include <unmask/sampler/stop/tokens.hpp>

#include "against_cpu.hpp"

namespace {

using namespace test;

// A score of a user's own that goes wrong late.
struct not_a_score {
    static constexpr auto kind = policy_kind::score;

    UNMASK_HOST_DEVICE score operator()(const candidate& position) const {
        const double wrong = static_cast<double>(detail::not_a_number);
        return {position.where.sequence == 4 && position.where.position > 30 ? wrong : position.random};
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
    const noise forgets{.seed = 1, .unwritten = 19};
    const std::string unwritten = message(cuda_executor{}, late, device_model<float>{letters, forgets});
    CHECK(unwritten == "sampler: the logits of sequence 3, position 19 are not written at token 0");
    CHECK(unwritten == message(cuda_executor{}, late, device_model<bfloat16>{letters, forgets}));
    CHECK(unwritten == message(cpu_executor{1}, late, host_model<float>{letters, forgets}));
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
