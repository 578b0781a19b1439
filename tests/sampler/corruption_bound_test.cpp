// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <algorithm>

#include <unmask/sampler/corruption/edit.hpp>
#include <unmask/sampler/sampler.hpp>

#include "models.hpp"

// Corruptions of one's own, and what none of them can do.

using namespace sampler_test;

namespace {

constexpr vocabulary tokens{.size = 7, .mask = 3, .end = {}};
constexpr index_t length = 10;

template <class Sampler, class Model>
statistics run(const Sampler& sampler, Model& model) {
    canvas page(model.tokens);
    page.add({}, length);
    const statistics result = sampler(cpu_executor{1}, model, page, 1);
    REQUIRE(page.masked() == 0);
    return result;
}

} // namespace

namespace {

// Takes everything back that it can.
struct never_content {
    static constexpr auto kind = policy_kind::corruption;
    static constexpr bool reads_committed = true;
    struct memory {};
    index_t extra = 0;

    [[nodiscard]] index_t extra_calls(const schedule_step& /*now*/) const { return extra; }
    void operator()(std::span<candidate> positions, const corruption_step& /*step*/, memory& /*memory*/) const {
        for (candidate& position : positions) {
            position.change = position.state == position_state::committed ? change::remask : position.change;
        }
    }
};

} // namespace

TEST_CASE("a corruption of one's own: whatever it takes back, the run ends within its bound") {
    for (const index_t extra : {0, 1, 5, 100}) {
        auto model = make_model(tokens, random_logits{1});
        model.may_ask_committed = true;
        const statistics result = run(sampler{never_content{extra}, steps{30}}, model);
        CHECK(result.calls <= length + extra);
        CHECK(result.committed - result.remasked == length);
        CHECK((result.remasked > 0) == (extra > 0));
    }
}

namespace {

// The same before the model is called: one position at every other step, and all taken back between.
struct penelope {
    static constexpr auto kind = policy_kind::corruption;
    static constexpr bool selects = true;
    struct memory {};
    index_t extra = 0;

    [[nodiscard]] index_t extra_calls(const schedule_step& /*now*/) const { return extra; }
    void before(std::span<candidate> positions, const corruption_step& step, memory& /*memory*/) const {
        bool chosen = step.now.step % 2 != 0;
        for (candidate& position : positions) {
            if (position.state == position_state::committed) {
                position.change = step.now.step % 2 != 0 ? change::remask : change::none;
            } else if (!chosen) {
                position.chosen = chosen = true;
            }
        }
    }
};

} // namespace

TEST_CASE("nor does it go on for ever where steps without a call take back what was committed") {
    for (const index_t extra : {0, 3}) {
        auto model = make_model(tokens, random_logits{2});
        const statistics result = run(sampler{penelope{extra}, steps{80}}, model);
        CHECK(result.calls <= length + extra);
        CHECK((result.remasked > 0) == (extra > 0));
    }
}

TEST_CASE("an end token that may still be edited ends nothing") {
    constexpr vocabulary with_end{.size = 7, .mask = 3, .end = 5};
    const auto wants = [](std::span<const token_t> all, index_t position, token_t token) {
        const bool first = std::count(all.begin(), all.end(), token_t{3}) == std::ssize(all);
        return token == (first && position == 0 ? 5 : 4) ? (position == 0 ? 9.0F : 8.0F) : 0.0F;
    };
    auto model = make_model(with_end, wants);
    model.may_ask_committed = true;
    canvas page(with_end);
    page.add({}, 4);
    const statistics result = sampler{steps{4}, edit{.probability = 0.5}}(cpu_executor{1}, model, page, 1);
    CHECK(to_vector(page.tokens(0)) == std::vector<token_t>{4, 4, 4, 4});
    CHECK(result.filled == 0);
    CHECK(result.edited == 1);
}
