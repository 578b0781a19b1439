// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// The study's models: gradients, where sinks stand, and block diffusion.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "block_batch.hpp"
#include "retrieval.hpp"
#include "test_gradient_check.hpp"
#include "variants.hpp"

using namespace sink_study;

namespace {

constexpr index_t length = 12;
constexpr index_t block = 4;
constexpr index_t sequences = 2;
const variant_settings small{
    .shape = {.vocabulary = 11, .width = 24, .layers = 2, .heads = 3, .ffn = 20}, .length = length, .block = block};

std::vector<token_t> some_text(index_t count) {
    std::vector<token_t> text;
    for (index_t i = 0; i < count; ++i) {
        text.push_back(static_cast<token_t>((i * i + i / 7) % 11));
    }
    return text;
}

training_batch some_batch(const std::string& variant) {
    const auto targets = some_text(sequences * length);
    return in_blocks(variant) ? masked_blocks(targets, sequences, length, block, 11, 3, 5)
                              : masked_batch(targets, sequences, length, 11, 3, 5);
}

} // namespace

TEST_CASE("gradients of every variant agree with central differences") {
    for (const std::string& variant : variant_names()) {
        CAPTURE(variant);
        with_variant(variant, small, [&](const auto& model, const auto& /*running*/) {
            check_gradients(model, large_weights(model, weight_draw::by_name), some_batch(variant), sequences);
        });
    }
}

TEST_CASE("a sink's position is its rotary index, wherever it lies in memory") {
    using rows = std::vector<index_t>;
    CHECK(token_places{}.rotary_rows(4, 0) == rows{1, 2, 3, 4});
    CHECK(token_places{}.rotary_rows(4, 1) == rows{0, 1, 2, 3, 4});
    CHECK(token_places{}.rotary_rows(3, 2) == rows{0, 1, 2, 3, 4});
    CHECK(token_places{.sinks_before = 2}.rotary_rows(4, 1) == rows{3, 1, 2, 4, 5});
    CHECK(token_places{.sinks_before = 4}.rotary_rows(4, 1) == rows{5, 1, 2, 3, 4});
    CHECK(token_places{.sinks_before = 9}.rotary_rows(4, 2) == rows{5, 6, 1, 2, 3, 4});
    CHECK(token_places{.copies = 2}.rotary_rows(6, 0) == rows{1, 2, 3, 1, 2, 3});
    CHECK(token_places{.copies = 2}.rotary_rows(6, 1) == rows{0, 1, 2, 3, 1, 2, 3});
}

TEST_CASE("the random place is the seed's, and neither end") {
    std::vector<index_t> places;
    for (std::uint32_t seed = 1; seed <= 200; ++seed) {
        variant_settings settings = small;
        settings.seed = seed;
        places.push_back(sink_place("random", settings));
        CHECK(places.back() == sink_place("random", settings));
    }
    CHECK(*std::min_element(places.begin(), places.end()) == 1);
    CHECK(*std::max_element(places.begin(), places.end()) == length - 1);
}

TEST_CASE("tensors that two variants share start alike") {
    const transformer<unmask::bidirectional> none(small.shape);
    const auto start = initial_weights(none.places(), none.shape(), 5, weight_draw::by_name);
    for (const std::string& variant : variant_names()) {
        CAPTURE(variant);
        with_variant(variant, small, [&](const auto& model, const auto&) {
            const auto other = initial_weights(model.places(), model.shape(), 5, weight_draw::by_name);
            for (const tensor_place& place : none.places()) {
                const auto same = std::find_if(model.places().begin(), model.places().end(),
                                               [&](const tensor_place& each) { return each.name == place.name; });
                REQUIRE(same != model.places().end());
                CHECK(std::equal(start.begin() + place.offset, start.begin() + place.offset + place.size(),
                                 other.begin() + same->offset));
            }
        });
    }
}

// Training on [noised ‖ clean] is worth something only if a block sees in it what it sees when texts are written.
TEST_CASE("in training a noised block gets the logits that it gets behind clean blocks") {
    for (const std::string variant : {"block", "block_front"}) {
        CAPTURE(variant);
        const training_batch batch = some_batch(variant);
        with_variant(variant, small, [&](const auto& training, const auto& running) {
            std::vector<float> weights = large_weights(training, weight_draw::by_name);
            REQUIRE(running.parameters() == training.parameters());
            workspace pair = training.make_workspace(sequences, 2 * length);
            workspace text = running.make_workspace(1, length);
            training.forward(cpu_layers{{1}}, training.bound(weights.data()), batch.tokens, pair);
            for (index_t sequence = 0; sequence < sequences; ++sequence) {
                const auto noised = batch.tokens.begin() + sequence * 2 * length;
                for (index_t begin = 0; begin < length; begin += block) {
                    std::vector<token_t> tokens(noised + length, noised + 2 * length);
                    std::copy_n(noised + begin, block, tokens.begin() + begin);
                    running.forward(cpu_layers{{1}}, running.bound(weights.data()), tokens, text);
                    for (index_t i = begin; i < begin + block; ++i) {
                        for (index_t v = 0; v < small.shape.vocabulary; ++v) {
                            CHECK(pair.logits(sequence * 2 * length + i, v) ==
                                  doctest::Approx(text.logits(i, v)).epsilon(1e-4));
                        }
                    }
                }
            }
        });
    }
}

TEST_CASE("block batches have their loss where the noised half is masked") {
    constexpr index_t many = 64;
    const auto targets = some_text(many * length);
    const training_batch batch = masked_blocks(targets, many, length, block, 11, 3, 5);
    double weight = 0.0;
    for (index_t i = 0; i < many * 2 * length; ++i) {
        const auto at = static_cast<std::size_t>(i);
        const bool noised = i % (2 * length) < length;
        const token_t target = targets[static_cast<std::size_t>(i / (2 * length) * length + i % length)];
        CHECK(batch.targets[at] == target);
        CHECK(batch.tokens[at] == (batch.weights[at] > 0.0F ? 11 : target));
        CHECK((noised || batch.weights[at] == 0.0F));
        weight += static_cast<double>(batch.weights[at]);
    }
    CHECK(weight == doctest::Approx(1.0).epsilon(0.3)); // 1/t · masked has mean 1
}

TEST_CASE("a retrieval sequence has one payload, and it again behind each of two markers") {
    std::vector<token_t> seen;
    for (std::uint64_t number = 0; number < 500; ++number) {
        const retrieval_sequence each = make_retrieval(32, 7, number);
        CHECK(each.tokens == make_retrieval(32, 7, number).tokens);
        const auto is_payload = [](token_t token) { return token >= noise_symbols && token < marker; };
        const auto first = std::find_if(each.tokens.begin(), each.tokens.end(), is_payload);
        REQUIRE(first < each.tokens.begin() + 8);
        seen.push_back(*first);
        CHECK(std::count_if(each.tokens.begin(), each.tokens.end(), is_payload) == 3);
        CHECK(std::count(each.tokens.begin(), each.tokens.end(), *first) == 3);
        CHECK(std::count(each.tokens.begin(), each.tokens.end(), marker) == 2);
        CHECK(each.answers[0] < 24);
        for (const index_t answer : each.answers) {
            CHECK(answer > 16);
            CHECK(each.tokens[static_cast<std::size_t>(answer)] == *first);
            CHECK(each.tokens[static_cast<std::size_t>(answer - 1)] == marker);
        }
    }
    std::sort(seen.begin(), seen.end());
    CHECK(std::unique(seen.begin(), seen.end()) - seen.begin() == payloads);
    CHECK(retrieval_tokens(3, 32, 7, 5) != retrieval_tokens(3, 32, 8, 5));
}

// A model that copies the answer's place is right by construction: what counts are both answers, and the most likely
// symbol.
TEST_CASE("exact match is the share of sequences with both answers right") {
    struct oracle {
        bool both;
        [[nodiscard]] workspace make_workspace(index_t batch, index_t size) const {
            return {{.vocabulary = 41, .width = 4, .layers = 1, .heads = 1, .ffn = 4}, batch, size, 0};
        }
        [[nodiscard]] int bound(float*) const { return 0; }
        void forward(const cpu_layers&, int, const std::vector<token_t>& tokens, workspace& work) const {
            const token_t payload = *std::find_if(
                tokens.begin(), tokens.end(), [](token_t token) { return token >= noise_symbols && token < marker; });
            REQUIRE(std::count(tokens.begin(), tokens.end(), 41) == 2); // the answers are hidden
            std::fill_n(work.logits.data, work.logits.size(), 0.0F);
            for (index_t i = 0; i < std::ssize(tokens); ++i) {
                if (both || i < std::ssize(tokens) * 3 / 4) {
                    work.logits(i, payload) = 1.0F;
                }
            }
        }
    };
    std::vector<float> none;
    CHECK(exact_match(oracle{true}, none, 32, 20, 3) == 1.0);
    CHECK(exact_match(oracle{false}, none, 32, 20, 3) == 0.0);
}
