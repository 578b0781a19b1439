// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <cstdint>
#include <map>

#include <unmask/sampler/guidance/guidance.hpp>
#include <unmask/sampler/presets.hpp>

#include "models.hpp"

// Guidance inside the sampler: what the model is asked, and that the tokens are those of a model that guides itself.

using namespace sampler_test;

namespace {

constexpr vocabulary tokens{.size = 9, .mask = 4, .end = 8};
constexpr double scale = 1.5;

struct given {
    std::vector<token_t> text;
    std::uint64_t id;
};
const std::vector<given> texts = {{{1, 2, 3, blank, blank, blank, blank, blank}, 7},
                                  {{blank, blank, 5, blank, 4, blank}, 8}, // infill, and a mask token in the prompt
                                  {{0, blank, blank, blank, blank, blank, blank, blank, blank, 2}, 9}};

// u + (w + 1)(c − u) by the model itself, which remembers where the prompts are.
struct self_guiding {
    unmask::vocabulary tokens;
    random_logits logits;

    [[nodiscard]] unmask::vocabulary vocabulary() const { return tokens; }
    void denoise(const canvas& page, std::span<const row> rows, tensor_view<float, 2> out) const {
        for (std::size_t i = 0; i < rows.size(); ++i) {
            const auto [sequence, position] = rows[i];
            auto without = to_vector(page.tokens(sequence));
            for (std::size_t at = 0; at < without.size(); ++at) {
                const bool prompt = page.states(sequence)[at] == position_state::prompt;
                without[at] = prompt ? tokens.mask : without[at];
            }
            for (token_t token = 0; token < tokens.size; ++token) {
                const double c = logits(page.tokens(sequence), position, token);
                const double u = logits(without, position, token);
                out(i, token) =
                    c < -1e30 || u < -1e30 ? static_cast<float>(c) : static_cast<float>(u + (scale + 1) * (c - u));
            }
        }
    }
};

// Checks that the second half of the canvas is the first without prompts.
struct watching {
    random_logits logits;
    index_t calls = 0;

    [[nodiscard]] unmask::vocabulary vocabulary() const { return tokens; }
    void denoise(const canvas& page, std::span<const row> rows, tensor_view<float, 2> out) {
        ++calls;
        const index_t half = page.sequences() / 2;
        REQUIRE(rows.size() % 2 == 0);
        for (std::size_t i = 0; i < rows.size(); ++i) {
            const auto [sequence, position] = rows[i];
            if (i >= rows.size() / 2) {
                const row conditional = rows[i - rows.size() / 2];
                REQUIRE(page.id(sequence) == twin_id(page.id(conditional.sequence)));
                REQUIRE(row{conditional.sequence + half, conditional.position} == rows[i]);
                for (index_t at = 0; at < page.length(sequence); ++at) {
                    const bool prompt = page.state(sequence - half, at) == position_state::prompt;
                    REQUIRE(page.token(sequence, at) == (prompt ? tokens.mask : page.token(sequence - half, at)));
                }
            }
            for (token_t token = 0; token < tokens.size; ++token) {
                out(i, token) = logits(page.tokens(sequence), position, token);
            }
        }
    }
};

canvas page_of(const std::vector<given>& which) {
    canvas page(tokens);
    for (const given& one : which) {
        page.add_infill(one.text, one.id);
    }
    return page;
}

} // namespace

TEST_CASE("guidance in the sampler is guidance in the model, with both halves in one call") {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        CAPTURE(seed);
        const auto plain = presets::llada({.steps = 5, .block_length = 4, .temperature = 0.5});
        canvas expected = page_of(texts);
        self_guiding itself{tokens, {seed}};
        const statistics without = plain(cpu_executor{1}, itself, expected, seed);

        canvas page = page_of(texts);
        watching model{{seed}};
        const statistics with = plain.with(guidance{scale})(cpu_executor{1}, model, page, seed);
        REQUIRE(to_vector(page.tokens()) == to_vector(expected.tokens()));
        REQUIRE(page.sequences() == std::ssize(texts));
        REQUIRE(with.calls == without.calls);
        REQUIRE(with.nfe.denoise == without.nfe.denoise);
        REQUIRE(with.nfe.unconditional == without.nfe.denoise);
        REQUIRE(with.rows == 2 * without.rows);

        for (const given& one : texts) { // alone as in the batch
            canvas alone = page_of({one});
            plain.with(guidance{scale})(cpu_executor{1}, model, alone, seed);
            const auto place = static_cast<index_t>(&one - texts.data());
            REQUIRE(to_vector(alone.tokens(0)) == to_vector(page.tokens(place)));
        }
    }
}

namespace {

// A model that caches the prompt of a sequence under its id, as servers do: the cache is what it reads.
struct keyed_by_id {
    random_logits logits;
    std::map<std::uint64_t, std::vector<token_t>> prompts{}; // the mask where there is none

    [[nodiscard]] unmask::vocabulary vocabulary() const { return tokens; }
    void denoise(const canvas& page, std::span<const row> rows, tensor_view<float, 2> out) {
        for (std::size_t i = 0; i < rows.size(); ++i) {
            const auto [sequence, position] = rows[i];
            std::vector<token_t> prompt(static_cast<std::size_t>(page.length(sequence)), tokens.mask);
            for (std::size_t at = 0; at < prompt.size(); ++at) {
                const bool given = page.states(sequence)[at] == position_state::prompt;
                prompt[at] = given ? page.tokens(sequence)[at] : tokens.mask;
            }
            const auto [cached, is_new] = prompts.try_emplace(page.id(sequence), prompt);
            REQUIRE(cached->second == prompt); // for the model's whole life
            auto text = to_vector(page.tokens(sequence));
            for (std::size_t at = 0; at < text.size(); ++at) {
                text[at] = page.states(sequence)[at] == position_state::prompt ? cached->second[at] : text[at];
            }
            for (token_t token = 0; token < tokens.size; ++token) {
                out(i, token) = logits(text, position, token);
            }
        }
    }
};

} // namespace

TEST_CASE("a twin has an id that no sequence has, and the same one in any batch") {
    const auto guided = presets::llada({.steps = 5, .temperature = 0.5}).with(guidance{scale});
    std::vector<given> named = texts;
    named[0].id = 2; // texts.size() − 1: between the indices of the twins
    named[1].id = 7;
    named[2].id = (std::uint64_t{1} << 63) - 1;
    keyed_by_id model{{1}};
    canvas page = page_of(named);
    guided(cpu_executor{1}, model, page, 3);
    CHECK(model.prompts.size() == 6);
    for (const given& one : named) {
        CHECK(model.prompts.contains(one.id));
        CHECK(model.prompts.contains(one.id + (std::uint64_t{1} << 63)));
        canvas alone = page_of({one});
        guided(cpu_executor{1}, model, alone, 3);
        CHECK(to_vector(alone.tokens(0)) == to_vector(page.tokens(&one - named.data())));
    }
    const std::vector<given> pairs[] = {{named[0], named[1]}, {named[2], named[0]}, {named[1], named[2], named[0]}};
    for (const auto& some : pairs) {
        canvas other = page_of(some);
        guided(cpu_executor{1}, model, other, 3);
    }
    CHECK(model.prompts.size() == 6);
}

TEST_CASE("with guidance, an id that could be a twin's is an error; without it, it is an id like any other") {
    auto model = make_model(tokens, random_logits{1});
    canvas page(tokens);
    page.add({}, 3, 5);
    page.add({}, 3, twin_id(5));
    const std::vector<token_t> before = to_vector(page.tokens());
    CHECK(complaint([&] { sampler{guidance{scale}}(cpu_executor{1}, model, page, 1); }) ==
          "sampler: canvas.id(1) is 9223372036854775813, expected below 2^63, where the ids of guidance's twins begin");
    CHECK(model.calls == 0);
    CHECK(to_vector(page.tokens()) == before);
    CHECK_NOTHROW(sampler{}(cpu_executor{1}, model, page, 1));
}

TEST_CASE("guidance follows what remasking does") {
    constexpr vocabulary seven{.size = 7, .mask = 7, .end = {}};
    for (std::uint64_t seed = 0; seed < 10; ++seed) {
        const auto plain = presets::remdm({.steps = 12}, remdm_rescale{0.5});
        canvas expected(seven);
        expected.add(std::vector<token_t>{1, 2}, 8);
        canvas page = expected;
        self_guiding itself{seven, {seed, 2}};
        plain(cpu_executor{1}, itself, expected, seed);
        auto model = make_model(seven, random_logits{seed, 2});
        const statistics result = plain.with(guidance{scale})(cpu_executor{1}, model, page, seed);
        REQUIRE(to_vector(page.tokens(0)) == to_vector(expected.tokens(0)));
        REQUIRE(result.remasked > 0);
    }
}

TEST_CASE("with() replaces what is of the same kind and adds the rest") {
    const auto plain = sampler{steps{3}, margin{}};
    static_assert(std::is_same_v<decltype(plain.with(steps{9}, never_stop{})), sampler<margin, steps, never_stop>>);
    auto model = make_model({.size = 5, .mask = 5, .end = {}}, random_logits{3});
    canvas page(model.tokens);
    page.add({}, 9);
    CHECK(plain.with(steps{9}, never_stop{})(cpu_executor{1}, model, page, 1).calls == 9);
    CHECK_THROWS_AS(static_cast<void>(plain.with(steps{0})), invalid_argument);
}
