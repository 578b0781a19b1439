// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <random>
#include <string>

#include <unmask/sampler/cache/cache_drift.hpp>
#include <unmask/sampler/likelihood/likelihood.hpp>
#include <unmask/sampler/logits/credit.hpp>
#include <unmask/sampler/logits/suppress_tokens.hpp>
#include <unmask/sampler/presets.hpp>

#include "models.hpp"

// Hostile models, non-finite logits and misuse: a run ends within its bound, or throws and leaves the canvas as it was.

using namespace sampler_test;

namespace {

struct leftmost {
    static constexpr auto kind = policy_kind::score;
    score operator()(const candidate& it) const { return {-static_cast<double>(it.where.position)}; }
};

using plain_logits = float (*)(std::span<const token_t> tokens, index_t position, token_t token);

// Runs a model over random canvases: every call commits, no mask is drawn.
template <class Sampler>
void check_ends(const Sampler& sampler, plain_logits logits) {
    std::mt19937 random(17);
    for (int i = 0; i < 12; ++i) {
        for (const token_t mask : {0, 2, 4, 5}) {
            const vocabulary tokens{
                .size = 5, .mask = mask, .end = i % 2 == 0 ? std::optional<token_t>(1) : std::nullopt};
            auto model = make_model(tokens, logits);
            canvas page(tokens);
            index_t longest = 0;
            for (int sequence = 0; sequence < 3; ++sequence) {
                std::vector<token_t> given(random() % 24);
                for (token_t& token : given) {
                    token = random() % 3 == 0 ? static_cast<token_t>(random() % 5) : blank;
                }
                longest = std::max(longest, page.masked(page.add_infill(given)));
            }
            const statistics result = sampler(cpu_executor{1}, model, page, random());
            REQUIRE(result.calls <= longest);
            REQUIRE(page.masked() == 0);
            for (index_t sequence = 0; sequence < 3; ++sequence) {
                for (index_t at = 0; at < page.length(sequence); ++at) {
                    const bool fine =
                        page.state(sequence, at) == position_state::prompt || tokens.holds(page.token(sequence, at));
                    REQUIRE(fine);
                }
            }
        }
    }
}

void check_every_sampler_ends(plain_logits logits) {
    check_ends(sampler{}, logits);
    check_ends(presets::llada({.steps = 7, .block_length = 3, .temperature = 1}), logits);
    check_ends(presets::dream({.steps = 5, .top_p = 0.9, .floor_quota = true}), logits);
    check_ends(presets::mdlm({.steps = 50}), logits);
    check_ends(sampler{threshold{1}, margin{}, cosine_steps{4}}, logits);
    check_ends(sampler{threshold{0}, random_order{}}, logits);
}

} // namespace

TEST_CASE("hostile models: always the mask, equal logits, all but one forbidden, enormous logits") {
    check_every_sampler_ends([](std::span<const token_t> all, index_t position, token_t token) {
        return all[static_cast<std::size_t>(position)] == token ? 1e30F : 0.0F; // whatever is there: the mask
    });
    check_every_sampler_ends([](std::span<const token_t>, index_t, token_t) { return 0.0F; });
    check_every_sampler_ends([](std::span<const token_t> all, index_t position, token_t token) {
        const token_t mask = all[static_cast<std::size_t>(position)];
        return token == mask || token == (mask == 3 ? 1 : 3) ? 2.0F : -infinity;
    });
    check_every_sampler_ends([](std::span<const token_t>, index_t position, token_t token) {
        return (position + token) % 2 == 0 ? 3e38F : -3e38F;
    });
}

TEST_CASE("non-finite logits are reported with their place, and the canvas is as it was") {
    const vocabulary tokens{.size = 4, .mask = 3, .end = {}};
    const float not_a_number = std::numeric_limits<float>::quiet_NaN();
    // Everything is fine until the fourth call.
    const auto failing = [](float bad, bool everywhere) {
        return [=](std::span<const token_t> all, index_t position, token_t token) {
            const bool late = std::count(all.begin(), all.end(), 3) == 3;
            const bool wrong = late && position >= 5 && (everywhere || token == 2);
            return wrong ? bad : 1.0F + static_cast<float>(token) - 0.1F * static_cast<float>(position);
        };
    };
    const auto check = [&](float bad, bool everywhere, const char* expected) {
        CAPTURE(expected);
        for (const int threads : {1, 2}) {
            auto model = make_model(tokens, failing(bad, everywhere));
            canvas page(tokens);
            page.add(std::vector<token_t>{0}, 0);
            page.add(std::vector<token_t>{1}, 6);
            const auto before = to_vector(page.tokens());
            const auto run = [&] { sampler{steps{6}, leftmost{}}(cpu_executor{threads}, model, page, 1); };
            CHECK(complaint<non_finite_logits>(run) ==
                  std::string("sampler: the logits of sequence 1, position 5 are ") + expected);
            CHECK(model.calls == 4);
            CHECK(to_vector(page.tokens()) == before);
            CHECK(page.masked() == 6);
            CHECK(page.state(1, 1) == position_state::masked);
        }
    };
    check(not_a_number, false, "NaN at token 2");
    check(infinity, false, "+infinity at token 2");
    check(-infinity, true, "-infinity for every token");
}

TEST_CASE("the mask's own logit is never looked at") {
    const vocabulary tokens{.size = 3, .mask = 0, .end = {}};
    auto model = make_model(tokens, [](std::span<const token_t>, index_t position, token_t token) {
        return token == 0 ? std::numeric_limits<float>::quiet_NaN() : static_cast<float>(position * token);
    });
    canvas page(tokens);
    page.add({}, 3);
    CHECK_NOTHROW(sampler{}(cpu_executor{}, model, page, 1));
    CHECK(to_vector(page.tokens(0)) == std::vector<token_t>{1, 2, 2});
}

namespace {

// Writes only the first `written` logits of the second row of later calls.
template <class Logit>
struct forgetful {
    token_t mask;
    std::ptrdiff_t written;
    index_t calls = 0;
    unmask::vocabulary vocabulary() const { return {.size = 3, .mask = mask, .end = {}}; }
    void denoise(const canvas&, std::span<const row> rows, tensor_view<Logit, 2> logits) {
        ++calls;
        for (std::size_t i = 0; i < rows.size(); ++i) {
            std::fill_n(logits.pointer(i), calls > 1 && i == 1 ? written : 3, Logit(1.0F));
        }
    }
};

template <class Logit, class... Policies>
std::string complaint_about_forgetful(token_t mask, std::ptrdiff_t written, const Policies&... policies) {
    forgetful<Logit> model{mask, written};
    canvas page(model.vocabulary());
    page.add({}, 4);
    std::string says =
        complaint<non_finite_logits>([&] { sampler{steps{4}, policies...}(cpu_executor{}, model, page, 1); });
    CHECK(page.masked() == 4);
    return says;
}

struct doubled {
    static constexpr auto kind = policy_kind::logits;
    void operator()(const canvas&, row, std::span<float> logits) const {
        for (float& logit : logits) {
            logit *= 2;
        }
    }
};

} // namespace

TEST_CASE_TEMPLATE("a row that the model does not write to its end is reported, not drawn from what was there", Logit,
                   float, bfloat16) {
    const std::string where = "sampler: the logits of sequence 0, position 2 are not written at token ";
    for (const token_t mask : {0, 1, 2, 3}) { // the mask's own logit is not read
        CAPTURE(mask);
        const std::string first = mask == 0 ? "1" : "0";
        const std::string last = mask == 2 ? "1" : "2";
        CHECK(complaint_about_forgetful<Logit>(mask, 0) == where + first);
        CHECK(complaint_about_forgetful<Logit>(mask, mask == 2 ? 1 : 2) == where + last);
        CHECK(complaint_about_forgetful<Logit>(mask, 0, categorical{0.7, 2}) == where + first);
        CHECK(complaint_about_forgetful<Logit>(mask, 0, suppress_tokens{{1}}) == where + (mask == 0 ? "2" : "0"));
        CHECK(complaint_about_forgetful<Logit>(mask, 0, logits_chain{doubled{}, credit{}}) == where + first);
    }
}

namespace {

// Forgets the row of position 2 in the canvas's first sequence, or in its last.
struct forgets_one {
    bool in_last;
    unmask::vocabulary vocabulary() const { return {.size = 3, .mask = 3, .end = {}}; }
    void denoise(const canvas& page, std::span<const row> rows, tensor_view<float, 2> logits) const {
        for (std::size_t i = 0; i < rows.size(); ++i) {
            if (rows[i] != row{in_last ? page.sequences() - 1 : 0, 2}) {
                std::fill_n(logits.pointer(i), 3, 1.0F);
            }
        }
    }
    void denoise(const canvas&, std::span<const row> rows, std::span<const cache_use>,
                 tensor_view<float, 2> logits) const { // the cache forgets nothing
        for (std::size_t i = 0; i < rows.size(); ++i) {
            std::fill_n(logits.pointer(i), 3, 1.0F);
        }
    }
};

} // namespace

TEST_CASE("an unwritten row is reported by guidance, likelihoods and the drift of a cache, too") {
    const std::string expected = "sampler: the logits of sequence 0, position 2 are not written at token 0";
    for (const bool in_twin : {false, true}) {
        const forgets_one model{in_twin};
        canvas page(model.vocabulary());
        page.add(std::vector<token_t>{1}, 3);
        CHECK(complaint<non_finite_logits>([&] { sampler{steps{1}, guidance{1.5}}(cpu_executor{}, model, page, 1); }) ==
              expected);
    }
    canvas page({.size = 3, .mask = 3, .end = {}});
    page.add({}, 4);
    CHECK(complaint<non_finite_logits>([&] {
              measure_cache_drift(cpu_executor{}, sampler{steps{4}, prefix_cache{}}, forgets_one{false}, page, 1);
          }) == expected);
    const std::vector<token_t> text{1, 0, 2, 1};
    CHECK(complaint<non_finite_logits>([&] {
              (void)log_likelihood(cpu_executor{}, forgets_one{false}, std::vector<token_t>{}, text);
          }).ends_with("position 2 are not written at token 0"));
}

TEST_CASE("what a model or an observer throws comes out, and the canvas is as it was") {
    const vocabulary tokens{.size = 4, .mask = 4, .end = {}};
    auto model = make_model(tokens, random_logits{1});
    canvas page(tokens);
    page.add(std::vector<token_t>{1, 2}, 5);
    const auto before = to_vector(page.tokens());
    CHECK_THROWS_AS(sampler{steps{5}}(cpu_executor{}, model, page, 1,
                                      [](const sampler_step& step) {
                                          if (step.call == 3) {
                                              throw std::runtime_error("enough");
                                          }
                                      }),
                    std::runtime_error);
    CHECK(to_vector(page.tokens()) == before);
    CHECK(page.masked() == 5);
}

namespace {

struct nan_score {
    static constexpr auto kind = policy_kind::score;
    score operator()(const candidate&) const { return {std::numeric_limits<double>::quiet_NaN()}; }
};
struct mask_draw {
    static constexpr auto kind = policy_kind::draw;
    drawn operator()(std::span<const float>, const row_statistics& raw, double, draw_scratch&) const {
        return {4, 0, raw};
    }
};

} // namespace

TEST_CASE("misuse throws before any work and says what is wrong") {
    const auto of = [](auto make) { return complaint<invalid_argument>(make); };
    CHECK(of([] { sampler{steps{0}}; }) == "sampler: steps.count is 0, expected at least 1");
    CHECK(of([] { sampler{cosine_steps{-1}}; }) == "sampler: cosine_steps.count is -1, expected at least 1");
    CHECK(of([] { sampler{timesteps{0}}; }) == "sampler: timesteps.count is 0, expected at least 1");
    CHECK(of([] { sampler{timesteps{1, 1.0}}; }) == "sampler: timesteps.epsilon is 1.000000, expected in [0, 1)");
    CHECK(of([] { sampler{block_length{0}}; }) == "sampler: block_length.size is 0, expected at least 1");
    CHECK(of([] { sampler{threshold{1.5}}; }) == "sampler: threshold.probability is 1.500000, expected in [0, 1]");
    CHECK(of([] { sampler{threshold{std::nan("")}}; }) == "sampler: threshold.probability is nan, expected in [0, 1]");
    CHECK(of([] { sampler{categorical{-0.5}}; }) ==
          "sampler: categorical.temperature is -0.500000, expected at least 0 and finite");
    CHECK(of([] { sampler{categorical{INFINITY}}; }) ==
          "sampler: categorical.temperature is inf, expected at least 0 and finite");
    CHECK(of([] { sampler{categorical{1, -1}}; }) == "sampler: categorical.top_k is -1, expected at least 0");
    CHECK(of([] { sampler{categorical{1, 0, 0.0}}; }) == "sampler: categorical.top_p is 0.000000, expected in (0, 1]");

    const vocabulary tokens{.size = 4, .mask = 4, .end = 1};
    auto model = make_model(tokens, random_logits{1});
    canvas page({.size = 4, .mask = 3, .end = {}});
    page.add({}, 2);
    const auto run = [&](const auto& sampler) { return of([&] { sampler(cpu_executor{}, model, page, 1); }); };
    CHECK(run(sampler{}) == "sampler: canvas.vocabulary() is {size 4, mask 3, end none}, expected the model's, "
                            "{size 4, mask 4, end 1}");
    model.tokens.size = 0;
    CHECK(run(sampler{}) == "sampler: vocabulary.size is 0, expected at least 1");
    CHECK(model.calls == 0);

    model.tokens = tokens;
    page = canvas(tokens);
    page.add({}, 2);
    CHECK(run(sampler{nan_score{}}) == "sampler: the score is NaN, expected a number or an infinity");
    CHECK(run(sampler{mask_draw{}}) == "sampler: the drawn token is 4, expected one of [0, size) other than the mask");
    CHECK(page.masked() == 2);
}
