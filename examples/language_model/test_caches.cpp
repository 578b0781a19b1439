// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Inference with and without caches, and with a shadow block: against a scalar twin, and against each other.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include <unmask/mask/shadow_block.hpp>
#include <unmask/sampler/cache/cache.hpp>
#include <unmask/sampler/sampler.hpp>
#include <unmask/sampler/trace/trace.hpp>

#include "block_denoiser.hpp"
#include "denoiser.hpp"
#include "page.hpp"
#include "test_models.hpp"
#include "test_scalar_transformer.hpp"

using namespace language_model;

namespace {

static_assert(unmask::denoiser<language_model_denoiser> && unmask::caching_denoiser<language_model_denoiser> &&
              unmask::shadow_denoiser<language_model_denoiser> && !unmask::block_denoiser<language_model_denoiser>);
static_assert(unmask::block_denoiser<block_language_model> && !unmask::caching_denoiser<block_language_model>);
static_assert(unmask::denoiser<recomputing_block_language_model> &&
              !unmask::block_denoiser<recomputing_block_language_model>);

template <class Model>
unmask::canvas page_of(const Model& model, const std::vector<std::string>& texts) {
    unmask::canvas page(model.vocabulary());
    for (const std::string& text : texts) {
        page.add_infill(parse_template(model.codec(), text));
    }
    return page;
}

const std::string first_text = "ab __ ab_ab_ _b\nc_d __ef_gh abc_e"; // 33 characters: more than a tile of rows

// What the scalar twin says of the first text and of masks after it that stand for the positions of `shadowed`;
// visible(q, k) is over text and shadow.
template <class Visible>
std::vector<double> by_definition(const safetensors_file& file, std::span<const token_t> tokens, unmask::range shadowed,
                                  const Visible& visible) {
    const model_card card = card_of(file);
    std::vector<double> result;
    const auto run = [&]<class Sink>(index_t sinks, Sink) {
        std::vector<float> memory = weights_of(file, places_of<Sink>(card.shape, sinks));
        const auto weights = bind<Sink>(card.shape, sinks, memory.data());
        std::vector<scalar_row> rows;
        for (index_t i = 0; i < sinks; ++i) {
            rows.push_back({weights.sink_embedding.pointer(i), i});
        }
        for (std::size_t i = 0; i < tokens.size(); ++i) {
            rows.push_back({weights.embedding.pointer(tokens[i]), static_cast<index_t>(i) + 1});
        }
        for (index_t i = shadowed.begin; i < shadowed.end; ++i) {
            rows.push_back({weights.embedding.pointer(card.shape.vocabulary), i + 1});
        }
        const auto skip = static_cast<std::size_t>(sinks);
        const auto logits = scalar_transformer(card.shape, weights, rows, [&](std::size_t q, std::size_t k) {
            return q < skip ? q == k
                            : k < skip || visible(static_cast<index_t>(q - skip), static_cast<index_t>(k - skip));
        });
        result.assign(logits.begin() + sinks * card.shape.vocabulary, logits.end());
    };
    if (card.sink == "token") {
        run(1, unmask::no_sink{});
    } else if (card.sink == "key_value") {
        run(0, unmask::key_value_sink{});
    } else {
        run(0, unmask::no_sink{});
    }
    return result;
}

void check_close(const std::vector<float>& got, const std::vector<double>& expected) {
    REQUIRE(got.size() == expected.size());
    double largest = 0.0;
    for (std::size_t i = 0; i < got.size(); ++i) {
        const double difference = std::abs(static_cast<double>(got[i]) - expected[i]);
        largest = difference <= largest ? largest : difference;
    }
    CHECK(largest < 2e-5);
}

// Fills a page and notes every change.
template <class Model, class Sampler>
unmask::trace filled(Model& model, const Sampler& sampler, unmask::canvas& page) {
    unmask::trace trace;
    sampler(unmask::cpu_executor{1}, model, page, 3, trace);
    CHECK(page.masked() == 0);
    return trace;
}

// The same tokens in the same order, with the same scores and log-probabilities, to the last bit.
bool same_bits(const unmask::trace& a, const unmask::trace& b) {
    const auto same = [](const unmask::trace::entry& x, const unmask::trace::entry& y) {
        return x.call == y.call && x.what.where == y.what.where && x.what.token == y.what.token &&
               x.what.score.value == y.what.score.value && x.what.log_probability == y.what.log_probability;
    };
    return std::equal(a.entries.begin(), a.entries.end(), b.entries.begin(), b.entries.end(), same);
}

} // namespace

TEST_CASE("both ways, in blocks, and with a shadow block: what the definition says") {
    for (const char* sink : {"none", "token", "key_value"}) {
        CAPTURE(sink);
        const safetensors_file file = random_model(sink);
        language_model_denoiser model(file, unmask::cpu_executor{2});
        const unmask::canvas page = page_of(model, {first_text, "ab_"});
        const auto tokens = page.tokens(0);
        const index_t length = page.length(0);
        std::vector<unmask::row> rows = all_rows(page);
        rows.resize(static_cast<std::size_t>(length));

        check_close(logits_of(model, page, rows, 0),
                    by_definition(file, tokens, {}, [](index_t, index_t) { return true; }));

        const std::vector<unmask::position_range> verified{{0, 14, 19}};
        const unmask::shadow_block shadow{length, 14, 5};
        check_close(logits_of(model, page, rows, 5, std::span(verified)),
                    by_definition(file, tokens, {14, 19}, [&](index_t q, index_t k) { return shadow.visible(q, k); }));

        for (const index_t size : {1, 4, 32, 40}) {
            CAPTURE(size);
            const auto expected =
                by_definition(file, tokens, {}, [&](index_t q, index_t k) { return k / size <= q / size; });
            recomputing_block_language_model blocks(file, unmask::cpu_executor{2}, size);
            check_close(logits_of(blocks, page, rows, 0), expected);
            // Through the cache, after half of the text.
            block_language_model cached(file, unmask::cpu_executor{1}, size);
            const index_t half = length / 2 / size * size;
            const std::size_t offset = static_cast<std::size_t>(half) * 10;
            cached.prefill(page, {0, 0, half});
            const std::vector<unmask::row> rest(rows.begin() + half, rows.end());
            check_close(logits_of(cached, page, rest, 0),
                        std::vector<double>(expected.begin() + static_cast<std::ptrdiff_t>(offset), expected.end()));
        }
    }
}

TEST_CASE("a generation with an exact cache is the one without it, bit for bit") {
    for (const char* sink : {"none", "token", "logit"}) {
        CAPTURE(sink);
        const safetensors_file file = random_model(sink);
        for (const index_t size : {5, 16}) {
            CAPTURE(size);
            const unmask::sampler sampler{unmask::steps_per_block{3},
                                          unmask::block_length{size, unmask::block_origin::sequence},
                                          unmask::categorical{.temperature = 1.0}};
            recomputing_block_language_model recomputing(file, unmask::cpu_executor{1}, size);
            // Prompts of no, some and many whole blocks; one sequence is full.
            const std::vector<std::string> texts = {
                "___________________________________", "abc ____________________________________",
                "abcd abcd abcd abcd a__________ def ___", "abc", "abcd abcd abcd ab___"};
            unmask::canvas expected = page_of(recomputing, texts);
            const unmask::trace slow = filled(recomputing, sampler, expected);
            for (const int threads : {1, 2}) {
                block_language_model cached(file, unmask::cpu_executor{threads}, size);
                for (int run = 0; run < 2; ++run) { // a second run finds what the first one kept
                    unmask::canvas page = page_of(cached, texts);
                    CHECK(same_bits(filled(cached, sampler, page), slow));
                    CHECK(std::equal(page.tokens().begin(), page.tokens().end(), expected.tokens().begin()));
                }
                unmask::canvas alone(cached.vocabulary());
                alone.add_infill(parse_template(cached.codec(), texts[2]), 2);
                filled(cached, sampler, alone);
                CHECK(std::equal(alone.tokens().begin(), alone.tokens().end(), expected.tokens(2).begin()));
            }
        }
    }
}

TEST_CASE("an approximate cache that is always refreshed changes nothing, and one that is not does") {
    const safetensors_file file = random_model("token");
    language_model_denoiser model(file, unmask::cpu_executor{2});
    const std::vector<std::string> texts = {"abc ____________________________________", "ab ____________ fe"};
    const unmask::sampler sampler{unmask::steps{12}, unmask::block_length{8}, unmask::categorical{.temperature = 1.0}};
    unmask::canvas page = page_of(model, texts);
    const unmask::trace expected = filled(model, sampler, page);
    const auto with = [&](const auto& cache) {
        unmask::canvas other = page_of(model, texts);
        return filled(model, sampler.with(cache), other);
    };
    CHECK(same_bits(with(unmask::prefix_cache{.refresh_every = 1}), expected));
    CHECK(same_bits(with(unmask::dual_cache{.refresh_every = 1}), expected));
    CHECK(!same_bits(with(unmask::prefix_cache{}), expected));
    CHECK(!same_bits(with(unmask::dual_cache{}), expected));
}

TEST_CASE("what an approximate cache takes from it, and what it does not") {
    for (const index_t layers : {1, 2}) {
        CAPTURE(layers);
        const safetensors_file file = random_model("token", layers);
        language_model_denoiser model(file, unmask::cpu_executor{1});
        unmask::canvas page = page_of(model, {first_text});
        const std::vector<unmask::row> rows{{0, 5}, {0, 9}, {0, 10}};
        const std::vector<unmask::cache_use> refresh{{{0, 0, 0}, true}};
        const std::vector<unmask::cache_use> some{{{0, 4, 12}, false}};
        CHECK(logits_of(model, page, rows, 0, std::span(refresh)) == logits_of(model, page, rows, 0));
        CHECK(logits_of(model, page, rows, 0, std::span(some)) == logits_of(model, page, rows, 0));
        page.commit(0, 8, 4); // inside what is computed again
        const bool same_inside = logits_of(model, page, rows, 0, std::span(some)) == logits_of(model, page, rows, 0);
        CHECK(same_inside == (layers == 1)); // in a second layer, other positions have seen the change
        CHECK(logits_of(model, page, rows, 0, std::span(refresh)) == logits_of(model, page, rows, 0));
        page.commit(0, 31, 4); // outside: it isn't seen
        const std::vector<float> before = logits_of(model, page, rows, 0, std::span(some));
        page.edit(0, 31, 5);
        CHECK(logits_of(model, page, rows, 0, std::span(some)) == before);
        CHECK(logits_of(model, page, rows, 0, std::span(refresh)) != before);
    }
}

TEST_CASE("a shadow's prediction is that of the text with a mask in the token's place, in a model of one layer") {
    const safetensors_file file = random_model("token", 1);
    language_model_denoiser model(file, unmask::cpu_executor{2});
    unmask::canvas page = page_of(model, {first_text, "ab ____________ fe"});
    page.commit(0, 8, 4);
    page.commit(1, 7, 4);
    const std::vector<unmask::row> rows{{0, 3}, {0, 9}, {1, 5}};
    const std::vector<unmask::position_range> verified{{0, 8, 9}, {1, 7, 8}};
    const std::vector<float> both = logits_of(model, page, rows, 2, std::span(verified));
    const std::vector<float> plain = logits_of(model, page, rows, 0);
    CHECK(std::equal(plain.begin(), plain.end(), both.begin())); // the text does not see its shadow
    page.remask(0, 8);
    page.remask(1, 7);
    const std::vector<float> expected = logits_of(model, page, {{0, 8}, {1, 7}}, 0);
    CHECK(largest_difference(&both[30], expected.data(), 20) < 1e-5);
    CHECK(largest_difference(&both[30], &expected[10], 10) > 1e-3);
    const std::vector<unmask::position_range> none{{0, 8, 8}, {1, 0, 0}};
    CHECK(logits_of(model, page, rows, 0, std::span(none)) == logits_of(model, page, rows, 0));
}

TEST_CASE("a cache that holds nothing fitting, and texts that are too long, are refused") {
    const safetensors_file file = random_model("none");
    language_model_denoiser model(file, unmask::cpu_executor{1});
    const unmask::canvas page = page_of(model, {"ab ____________ fe"});
    const std::vector<unmask::row> rows{{0, 3}};
    const std::vector<unmask::cache_use> some{{{0, 0, 8}, false}};
    const std::vector<unmask::cache_use> refresh{{{}, true}};
    const auto refused = [&](const auto& more) {
        CHECK_THROWS_AS(logits_of(model, page, rows, 0, std::span(more)), unmask::invalid_argument);
    };
    refused(some);
    refused(std::vector<unmask::cache_use>{});
    CHECK_NOTHROW(logits_of(model, page, rows, 0, std::span<const unmask::cache_use>(refresh)));
    CHECK_NOTHROW(logits_of(model, page, rows, 0, std::span<const unmask::cache_use>(some)));
    refused(std::vector<unmask::cache_use>{{{0, 4, 8}, false}});  // without the row
    refused(std::vector<unmask::cache_use>{{{0, 0, 19}, false}}); // of 18
    const unmask::canvas other = page_of(model, {"ab _______"});
    CHECK_THROWS_AS(logits_of(model, other, rows, 0, std::span<const unmask::cache_use>(some)),
                    unmask::invalid_argument);
    CHECK_NOTHROW(logits_of(model, other, rows, 0, std::span<const unmask::cache_use>(refresh)));
    CHECK_NOTHROW(logits_of(model, other, rows, 0, std::span<const unmask::cache_use>(some)));
    refused(std::vector<unmask::position_range>{{0, 1, 2}, {0, 2, 3}});
    refused(std::vector<unmask::position_range>{{0, 12, 19}});
    const unmask::canvas long_page = page_of(model, {std::string(41, '_')});
    block_language_model blocks(file, unmask::cpu_executor{1}, 8);
    CHECK_THROWS_AS(blocks.prefill(long_page, {0, 0, 0}), unmask::invalid_argument);
    language_model_denoiser told(file, unmask::cpu_executor{1}, 41);
    CHECK_NOTHROW(logits_of(told, long_page, {{0, 40}}, 0));
    CHECK_THROWS_AS((block_language_model(file, unmask::cpu_executor{1}, 0)), unmask::invalid_argument);
}
