// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <chrono>
#include <random>
#include <string>

#include <unmask/sampler/presets.hpp>
#include <unmask/sampler/trace/trace.hpp>

#include "models.hpp"

// The end of a text, infilling, scores, observers, statistics, policies of one's own.

using namespace sampler_test;

namespace {

constexpr vocabulary tokens{.size = 6, .mask = 6, .end = 5};

// Position i gets the token wanted[i], and the surer the higher sureness[i], which is above 0.5.
table_logits wanting(const std::vector<token_t>& wanted, const std::vector<double>& sureness = {}) {
    table_logits table;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        table.rows.push_back(row_with(6, wanted[i], sureness.empty() ? 0.9 : sureness[i]));
    }
    return table;
}

std::vector<token_t> text(const canvas& page) {
    return to_vector(page.tokens(0));
}

} // namespace

TEST_CASE("a text ends at its first end token once everything before it is there") {
    auto model = make_model(tokens, wanting({0, 1, 5, 3, 4, 2, 1, 0}));
    canvas page(tokens);
    page.add({}, 8);
    const statistics result = sampler{steps{4}, block_length{2}}(cpu_executor{}, model, page, 1);
    CHECK(text(page) == std::vector<token_t>{0, 1, 5, 5, 5, 5, 5, 5});
    CHECK(result.calls == 2); // the last two blocks cost nothing
    CHECK(result.committed == 4);
    CHECK(result.filled == 4);
    CHECK(result.useful == 3); // the token after the end is not
    CHECK(result.tpf() == doctest::Approx(1.5));
}

TEST_CASE("an end token with masks before it does not end the text") {
    // The end at 4 is the surest, so it comes first; 0 is the last of the five to be filled.
    auto model = make_model(tokens, wanting({0, 1, 2, 3, 5, 3, 3}, {0.7, 0.8, 0.8, 0.8, 0.99, 0.6, 0.55}));
    canvas page(tokens);
    page.add({}, 7);
    const statistics result = sampler{steps{7}}(cpu_executor{}, model, page, 1);
    CHECK(result.calls == 5);
    CHECK(text(page) == std::vector<token_t>{0, 1, 2, 3, 5, 5, 5});
    CHECK(result.useful == 5);
}

TEST_CASE("tokens committed after the end are overwritten, prompts are not") {
    auto model = make_model(tokens, wanting({5, 1, 2, 3, 4}, {0.6, 0.9, 0.9, 0.9, 0.9}));
    canvas page(tokens);
    page.add_infill(std::vector<token_t>{blank, blank, blank, 0, blank});
    const statistics result = sampler{steps{2}}(cpu_executor{}, model, page, 1);
    CHECK(text(page) == std::vector<token_t>{5, 5, 5, 0, 5});
    CHECK(page.state(0, 3) == position_state::prompt);
    CHECK(result.committed == 4);
    CHECK(result.useful == 1);
    CHECK(result.filled == 0);
}

TEST_CASE("end tokens in the prompt stop nothing") {
    auto model = make_model(tokens, wanting({5, 5, 1, 2, 3, 4}));
    canvas page(tokens);
    page.add_infill(std::vector<token_t>{5, 5, blank, blank, 5, blank});
    const statistics result = sampler{steps{3}}(cpu_executor{}, model, page, 1);
    CHECK(text(page) == std::vector<token_t>{5, 5, 1, 2, 5, 4});
    CHECK(result.calls == 3);
    CHECK(result.useful == 3);
}

TEST_CASE("never_stop fills all with the model's tokens; what comes after the end is not useful") {
    auto model = make_model(tokens, wanting({0, 5, 2, 3}));
    canvas page(tokens);
    page.add({}, 4);
    const statistics result = sampler{steps{4}, never_stop{}}(cpu_executor{}, model, page, 1);
    CHECK(text(page) == std::vector<token_t>{0, 5, 2, 3});
    CHECK(result.useful == 2);
    CHECK(result.committed == 4);
    CHECK(result.tpf() == doctest::Approx(0.5));
}

TEST_CASE("a finished sequence of a batch costs nothing") {
    auto model = make_model(tokens, [](std::span<const token_t> all, index_t position, token_t token) {
        return token == (all.size() == 8 && position == 1 ? 5 : 2) ? 3.0F : 0.0F;
    });
    canvas page(tokens);
    page.add({}, 8); // ends at position 1
    page.add({}, 9);
    page.add(std::vector<token_t>{1, 2}, 0); // nothing to do
    const statistics result = sampler{steps{8}, block_length{2}}(cpu_executor{}, model, page, 1);
    CHECK(result.nfe.denoise == 2 + 8);
    CHECK(result.calls == 8);
    CHECK(result.useful == 2 + 9);
}

TEST_CASE("infilling: prompts anywhere stay, and blocks without a mask are passed over") {
    auto model = make_model({.size = 6, .mask = 0, .end = {}}, wanting({1, 2, 3, 4, 5, 1, 2, 3, 4, 5}));
    canvas page(model.tokens);
    page.add_infill(std::vector<token_t>{blank, 0, 5, 5, 5, 5, blank, 5, blank, 0});
    trace recorded;
    const statistics result = sampler{steps{2}, block_length{3}}(cpu_executor{}, model, page, 1, recorded);
    CHECK(text(page) == std::vector<token_t>{1, 0, 5, 5, 5, 5, 2, 5, 4, 0});
    CHECK(result.calls == 2);
    CHECK(recorded.entries.size() == 3);
    CHECK(recorded.entries[0].what.where == row{0, 0});
    CHECK(recorded.entries[2].call == 1);
}

TEST_CASE("the surest position is first by every score: a peaked row before a flat one") {
    const std::vector<float> peaked{0, 6, 0, 0};
    const std::vector<float> middle{0, 2, 0.5F, 0};
    const std::vector<float> flat{1, 1.01F, 1, 1};
    const auto order = [&](const auto& score) {
        auto model = make_model({.size = 4, .mask = 4, .end = {}}, table_logits{{flat, peaked, middle}});
        canvas page(model.tokens);
        page.add({}, 3);
        trace recorded;
        sampler{steps{3}, score}(cpu_executor{}, model, page, 1, recorded);
        std::vector<index_t> result;
        for (const trace::entry& entry : recorded.entries) {
            result.push_back(entry.what.where.position);
        }
        return result;
    };
    const std::vector<index_t> expected{1, 2, 0};
    CHECK(order(confidence{}) == expected);
    CHECK(order(margin{}) == expected);
    CHECK(order(negative_entropy{}) == expected);
    CHECK(order(negative_entropy{score_from::shaped}) == expected);
}

TEST_CASE("more entropy is a lower score, property of random rows") {
    std::mt19937 random(3);
    for (int i = 0; i < 200; ++i) {
        candidate colder;
        candidate hotter;
        std::vector<float> logits(12);
        std::vector<float> halved(12);
        for (std::size_t v = 0; v < 12; ++v) {
            logits[v] = std::uniform_real_distribution<float>(-5, 5)(random);
            halved[v] = logits[v] / 2;
        }
        colder.raw = statistics_of(logits);
        hotter.raw = statistics_of(halved);
        REQUIRE(negative_entropy{}(colder) > negative_entropy{}(hotter));
        REQUIRE(negative_entropy{}(hotter).value < 0);
    }
}

TEST_CASE("equal scores: the lowest position first") {
    auto model = make_model(tokens, wanting({1, 1, 1, 1, 1, 1, 1, 1}));
    canvas page(tokens);
    page.add({}, 8);
    trace recorded;
    sampler{steps{3}}(cpu_executor{}, model, page, 1, recorded);
    for (std::size_t i = 0; i < 8; ++i) {
        CHECK(recorded.entries[i].what.where.position == static_cast<index_t>(i));
    }
}

TEST_CASE("an observer sees every commitment, and can end the run") {
    auto model = make_model(tokens, wanting({0, 1, 2, 3, 4, 0}, {0.95, 0.9, 0.85, 0.8, 0.75, 0.7}));
    canvas page(tokens);
    page.add({}, 6);
    index_t seen = 0;
    const statistics first = sampler{steps{6}}(cpu_executor{}, model, page, 1, [&](const sampler_step& step) {
        CHECK(step.call == seen);
        CHECK(&step.canvas == &page);
        REQUIRE(step.commitments.size() == 1);
        const commitment& what = step.commitments[0];
        CHECK(what.where == row{0, seen});
        CHECK(what.token == seen);
        CHECK(what.log_probability == doctest::Approx(std::log(0.95 - 0.05 * static_cast<double>(seen))).epsilon(1e-4));
        CHECK(what.score.value == what.log_probability);
        CHECK(step.masked == 5 - seen);
        CHECK(step.canvas.state(0, seen) == position_state::committed);
        ++seen;
        return seen < 4;
    });
    CHECK(first.stopped_early);
    CHECK(first.calls == 4);
    CHECK(first.useful == 4);
    CHECK(page.masked() == 2);
    const statistics rest = sampler{steps{6}}(cpu_executor{}, model, page, 2);
    CHECK_FALSE(rest.stopped_early);
    CHECK(rest.committed == 2);
    CHECK(rest.useful == 2);
    CHECK(text(page) == std::vector<token_t>{0, 1, 2, 3, 4, 0});
}

TEST_CASE("a run over nothing") {
    auto model = make_model(tokens, wanting({}));
    canvas page(tokens);
    CHECK(sampler{}(cpu_executor{}, model, page, 1).calls == 0);
    page.add(std::vector<token_t>{1, 2}, 0);
    const statistics result = sampler{}(cpu_executor{}, model, page, 1);
    CHECK(result.calls == 0);
    CHECK(result.tpf() == 0);
}

TEST_CASE("seconds add up to the time that passed") {
    const auto slow = [](std::span<const token_t>, index_t position, token_t token) {
        volatile double work = 0;
        for (int i = 0; i < 20000; ++i) {
            work = work + 1;
        }
        return static_cast<float>(token == position % 5 ? work : 0.0);
    };
    auto model = make_model(tokens, slow);
    canvas page(tokens);
    page.add({}, 20);
    const auto begin = std::chrono::steady_clock::now();
    const statistics result = sampler{steps{5}}(cpu_executor{}, model, page, 1);
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin;
    CHECK(result.seconds_in_model > 0);
    CHECK(result.seconds_in_sampling > 0);
    CHECK(result.seconds_in_model > result.seconds_in_sampling);
    CHECK(result.seconds_in_model + result.seconds_in_sampling <= passed.count());
}

namespace {

struct leftmost {
    static constexpr auto kind = policy_kind::score;
    score operator()(const candidate& it) const { return {-static_cast<double>(it.where.position)}; }
};
struct two_at_a_time {
    static constexpr auto kind = policy_kind::schedule;
    index_t count = std::numeric_limits<index_t>::max();
    double masked_share(index_t step, index_t of) const { return detail::share_done(of - step, of); }
    index_t quota(const schedule_step&) const { return 2; }
};
struct second_best {
    static constexpr auto kind = policy_kind::draw;
    drawn operator()(std::span<const float> logits, const row_statistics& raw, double, draw_scratch&) const {
        token_t best = raw.best == 0 ? 1 : 0;
        for (token_t v = 0; v < static_cast<token_t>(logits.size()); ++v) {
            const auto logit = [&](token_t i) { return logits[static_cast<std::size_t>(i)]; };
            best = v != raw.best && logit(v) > logit(best) ? v : best;
        }
        return {best, raw.second - raw.log_sum, raw};
    }
};
struct nobody {
    static constexpr auto kind = policy_kind::selector;
    template <class Candidates>
    void choose(const Candidates&, const step_share&) const {}
};
struct four_tokens {
    static constexpr auto kind = policy_kind::stop;
    std::optional<index_t> operator()(const canvas& page, index_t sequence) const {
        return page.masked(sequence) <= page.length(sequence) - 4 ? std::optional<index_t>(4) : std::nullopt;
    }
};

} // namespace

TEST_CASE("policies of one's own, of every kind") {
    auto model = make_model({.size = 6, .mask = 6, .end = {}}, wanting({0, 1, 2, 3, 4, 0, 1, 2}));
    canvas page(model.tokens);
    page.add({}, 8);
    const statistics result =
        sampler{leftmost{}, two_at_a_time{}, second_best{}, four_tokens{}}(cpu_executor{}, model, page, 1);
    // Without an end token in the vocabulary, what a stop rule leaves out stays masked.
    CHECK(text(page) == std::vector<token_t>{1, 2, 3, 4, 6, 6, 6, 6});
    CHECK(result.calls == 2);
    CHECK(page.masked() == 4);

    canvas second(model.tokens);
    second.add({}, 8);
    CHECK(sampler{nobody{}, steps{1}}(cpu_executor{}, model, second, 1).calls == 8); // one a call all the same
    CHECK(second.masked() == 0);
}

TEST_CASE("a sampler is a value: policies in any order, the same result") {
    auto model = make_model(tokens, random_logits{4});
    const auto fill = [&](const auto& sampler) {
        canvas page(tokens);
        page.add({}, 20);
        sampler(cpu_executor{}, model, page, 1);
        return text(page);
    };
    const auto expected = fill(sampler{steps{5}, block_length{4}, margin{}, top_k{}, categorical{}, never_stop{}});
    CHECK(fill(sampler{never_stop{}, categorical{}, margin{}, block_length{4}, top_k{}, steps{5}}) == expected);
    CHECK(fill(sampler{categorical{}, never_stop{}, steps{5}, margin{}, block_length{4}}) == expected);
}
