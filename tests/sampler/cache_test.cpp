// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <algorithm>

#include <unmask/sampler/cache/cache_drift.hpp>
#include <unmask/sampler/presets.hpp>

#include "models.hpp"

// What the sampler asks of models with a cache: exact by blocks, or approximate by name.

using namespace sampler_test;

namespace {

constexpr vocabulary tokens{.size = 8, .mask = 8, .end = 7};

// Block-causal: what a position predicts depends on the tokens up to the end of its block.
struct block_logits {
    random_logits logits;
    index_t size;

    float operator()(std::span<const token_t> all, index_t position, token_t token) const {
        const index_t end = std::min(std::ssize(all), (position / size + 1) * size);
        return logits(all.first(static_cast<std::size_t>(end)), position, token);
    }
};

// The same with a cache: it reads what it kept, and the canvas only behind it.
struct caching_blocks {
    block_logits logits;
    std::vector<std::vector<token_t>> kept = std::vector<std::vector<token_t>>(100);
    std::vector<char> filled = std::vector<char>(100);
    index_t positions = 0; // that it computed

    [[nodiscard]] unmask::vocabulary vocabulary() const { return tokens; }
    [[nodiscard]] index_t block_length() const { return logits.size; }

    void prefill(const canvas& page, const position_range& range) {
        REQUIRE(range.begin == 0);
        REQUIRE(range.end % logits.size == 0);
        const auto at = static_cast<std::size_t>(range.sequence);
        kept[at].clear();
        filled[at] = 1;
        keep(page, range);
    }
    void commit(const canvas& page, const position_range& range) {
        REQUIRE(filled[static_cast<std::size_t>(range.sequence)] == 1);
        REQUIRE(range.begin == std::ssize(kept[static_cast<std::size_t>(range.sequence)]));
        REQUIRE(range.end == range.begin + logits.size);
        keep(page, range);
    }
    void denoise(const canvas& page, std::span<const row> rows, tensor_view<float, 2> out) {
        for (std::size_t i = 0; i < rows.size(); ++i) {
            const auto [sequence, position] = rows[i];
            const auto& own = kept[static_cast<std::size_t>(sequence)];
            REQUIRE(position >= std::ssize(own));              // not in what is kept,
            REQUIRE(position < std::ssize(own) + logits.size); // but in the block behind it
            auto all = to_vector(page.tokens(sequence));
            std::copy(own.begin(), own.end(), all.begin());
            for (token_t token = 0; token < tokens.size; ++token) {
                out(i, token) = logits(all, position, token);
            }
        }
        positions += rows.empty() ? 0 : logits.size;
    }

private:
    void keep(const canvas& page, const position_range& range) {
        for (index_t at = range.begin; at < range.end; ++at) {
            REQUIRE(page.state(range.sequence, at) != position_state::masked);
            kept[static_cast<std::size_t>(range.sequence)].push_back(page.token(range.sequence, at));
        }
    }
};

canvas some_page() {
    canvas page(tokens);
    page.add(std::vector<token_t>{1, 2, 3, 4, 5, 6, 1, 2, 3, 4}, 15, 3); // ten given: two blocks of four, and a half
    page.add({}, 9, 4);
    page.add_infill(std::vector<token_t>{1, blank, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, blank, 4}, 5); // blocks without
    page.add(std::vector<token_t>{1, 1, 1, 1}, 4, 6);
    return page;
}

template <class Sampler>
void check_exact(const Sampler& sampler, bool edits = false) {
    for (std::uint64_t seed = 0; seed < 25; ++seed) {
        CAPTURE(seed);
        auto plain = make_model(tokens, block_logits{{seed}, 4});
        plain.may_ask_committed = edits;
        canvas expected = some_page();
        const statistics without = sampler(cpu_executor{1}, plain, expected, seed);
        canvas page = some_page();
        caching_blocks model{{{seed}, 4}};
        const statistics with = sampler(cpu_executor{1}, model, page, seed);
        REQUIRE(to_vector(page.tokens()) == to_vector(expected.tokens()));
        REQUIRE(with.calls == without.calls);
        REQUIRE(with.nfe.denoise == without.nfe.denoise);
        REQUIRE(with.nfe.prefill == 4);
        REQUIRE(without.nfe.prefill + without.nfe.commit == 0);
    }
}

} // namespace

TEST_CASE("an exact cache changes nothing: blocks are stored when they are final, and before they are read") {
    check_exact(presets::llada2({.steps = 3, .block_length = 4, .threshold = 0.3, .temperature = 0.7}));
    check_exact(presets::sdar());
    check_exact(presets::llada21({.steps = 4, .block_length = 4, .threshold = 0.3, .edit_threshold = 0.3}), true);
}

TEST_CASE("a block_denoiser brings its blocks with it; others are an error") {
    caching_blocks model{{{1}, 4}};
    canvas page = some_page();
    const statistics result = sampler{steps{20}}(cpu_executor{1}, model, page, 1);
    CHECK(result.nfe.commit > 0);
    CHECK(page.masked() == 0);

    canvas untouched = some_page();
    const canvas before = untouched;
    CHECK_THROWS_WITH_AS((sampler{block_length{8, block_origin::sequence}}(cpu_executor{1}, model, untouched, 1)),
                         "sampler: block_length.size is 8, expected the model's, 4", invalid_argument);
    CHECK_THROWS_WITH_AS((sampler{block_length{4}}(cpu_executor{1}, model, untouched, 1)),
                         "sampler: block_length.origin is generation, expected sequence, where the model's blocks are "
                         "counted from",
                         invalid_argument);
    CHECK(to_vector(untouched.tokens()) == to_vector(before.tokens()));
}

TEST_CASE("an exact cache and guidance: the twins are prefilled and committed too") {
    const auto guided = presets::sdar().with(guidance{0.5});
    auto plain = make_model(tokens, block_logits{{5}, 4});
    canvas expected = some_page();
    guided(cpu_executor{1}, plain, expected, 5);
    canvas page = some_page();
    caching_blocks model{{{5}, 4}};
    const statistics result = guided(cpu_executor{1}, model, page, 5);
    CHECK(to_vector(page.tokens()) == to_vector(expected.tokens()));
    CHECK(result.nfe.prefill == 8);
}

namespace {

// Bidirectional with an approximate cache. What it computes of a position, its feature, depends on the whole canvas,
// and what it predicts on all features: those outside the recomputed range are of an older canvas.
struct stale_model {
    static constexpr bool shifts_logits = false;
    random_logits logits;
    std::vector<std::vector<token_t>> kept = std::vector<std::vector<token_t>>(100);
    std::vector<cache_use> uses{};

    [[nodiscard]] unmask::vocabulary vocabulary() const { return tokens; }
    void denoise(const canvas& page, std::span<const row> rows, tensor_view<float, 2> out) const {
        for (std::size_t i = 0; i < rows.size(); ++i) {
            const auto all = page.tokens(rows[i].sequence);
            write(std::vector<token_t>(all.size(), feature(all)), rows[i].position, i, out);
        }
    }
    void denoise(const canvas& page, std::span<const row> rows, std::span<const cache_use> use,
                 tensor_view<float, 2> out) {
        for (const cache_use& each : use) {
            uses.push_back(each);
            const auto all = page.tokens(each.recompute.sequence);
            auto& features = kept[static_cast<std::size_t>(each.recompute.sequence)];
            REQUIRE((each.refresh || features.size() == all.size()));
            features.resize(all.size());
            const index_t begin = each.refresh ? 0 : each.recompute.begin;
            const index_t end = each.refresh ? std::ssize(all) : each.recompute.end;
            std::fill(features.begin() + begin, features.begin() + end, feature(all));
        }
        for (std::size_t i = 0; i < rows.size(); ++i) {
            write(kept[static_cast<std::size_t>(rows[i].sequence)], rows[i].position, i, out);
        }
    }

private:
    static token_t feature(std::span<const token_t> all) {
        std::uint64_t hash = 0;
        for (const token_t token : all) {
            hash = mix(hash ^ static_cast<std::uint64_t>(token));
        }
        return static_cast<token_t>(hash >> 40);
    }
    void write(std::span<const token_t> features, index_t position, std::size_t i, tensor_view<float, 2> out) const {
        for (token_t token = 0; token < tokens.size; ++token) {
            out(i, token) = logits(features, position, token);
        }
    }
};

canvas two_pages() {
    canvas page(tokens);
    page.add(std::vector<token_t>{1, 2}, 10);
    page.add({}, 7);
    return page;
}

} // namespace

TEST_CASE("prefix and dual cache: the first call of a block runs everything, later ones a part") {
    const auto blocks = sampler{steps{6}, block_length{5}, never_stop{}};
    const auto uses_of = [&](const auto& sampler) {
        stale_model model{{3}};
        canvas page(tokens);
        page.add(std::vector<token_t>{1, 2}, 10);
        sampler(cpu_executor{1}, model, page, 1);
        return model.uses;
    };
    const auto prefix = uses_of(blocks.with(prefix_cache{}));
    const auto dual = uses_of(blocks.with(dual_cache{.refresh_every = 2}));
    REQUIRE(prefix.size() == 6);
    REQUIRE(dual.size() == 6);
    for (std::size_t i = 0; i < 6; ++i) {
        CAPTURE(i);
        const index_t begin = i < 3 ? 2 : 7;
        CHECK(prefix[i].recompute == position_range{0, begin, 12});
        CHECK(prefix[i].refresh == (i % 3 == 0));
        CHECK(dual[i].recompute == position_range{0, begin, begin + 5});
        CHECK(dual[i].refresh == (i % 3 != 1));
    }
}

TEST_CASE("an approximate cache that is refreshed at every call is no approximation, and the report says so") {
    for (std::uint64_t seed = 0; seed < 10; ++seed) {
        CAPTURE(seed);
        stale_model model{{seed}};
        const auto plain = sampler{steps{8}, block_length{4}, categorical{.temperature = 0.5}};
        canvas expected = two_pages();
        plain(cpu_executor{1}, model, expected, seed);
        canvas page = two_pages();
        plain.with(dual_cache{.refresh_every = 1})(cpu_executor{1}, model, page, seed);
        REQUIRE(to_vector(page.tokens()) == to_vector(expected.tokens()));

        const canvas before = two_pages();
        const cache_drift none =
            measure_cache_drift(cpu_executor{1}, plain.with(prefix_cache{.refresh_every = 1}), model, before, seed);
        REQUIRE(none.rows > 0);
        REQUIRE(none.largest_divergence == 0);
        REQUIRE(none.other_best == 0);
        REQUIRE(none.tokens == 17);
        REQUIRE(none.token_share() == 0);
    }
}

TEST_CASE("the drift report: tokens, most likely tokens and divergence against the run without the cache") {
    stale_model model{{.seed = 4, .spread = 2, .forbidden = 0}}; // a forbidden token would make the divergence infinite
    const auto plain = sampler{steps{8}, block_length{4}, never_stop{}};
    const auto cached = plain.with(dual_cache{});
    const canvas before = two_pages();
    const cache_drift drift = measure_cache_drift(cpu_executor{2}, cached, model, before, 1);

    canvas with = before;
    canvas without = before;
    const statistics counts = cached(cpu_executor{1}, model, with, 1);
    plain(cpu_executor{1}, model, without, 1);
    index_t other = 0;
    for (std::size_t i = 0; i < with.tokens().size(); ++i) {
        other += with.tokens()[i] != without.tokens()[i] ? 1 : 0;
    }
    CHECK(other > 0);
    CHECK(drift.other_tokens == other);
    CHECK(drift.token_share() == doctest::Approx(static_cast<double>(other) / 17));
    CHECK(drift.rows == counts.rows);
    CHECK(drift.with_cache.calls == counts.calls);
    CHECK(drift.other_best > 0);
    CHECK(drift.other_best < drift.rows);
    CHECK(drift.mean_divergence > 0.01); // the rows of refreshed calls have none
    CHECK(drift.mean_divergence < drift.largest_divergence);
    CHECK(before.masked() == 17); // the canvas is as it was
}
