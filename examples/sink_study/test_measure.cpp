// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <unmask/analysis/sink_strength.hpp>

#include "measure.hpp"

using namespace sink_study;

namespace {

const study_size tiny = size_of("tiny");
const study_data data(
    corpus{"In the beginning was the word, and the word was long enough to be cut into windows.\n",
           "And it was held out, for there must be some text that no model has seen before it ends.\n"},
    contents_of(DEFAULT_TOKENIZER));

attention_trace trace(const job& which, const measure_settings& settings = {.sequences = 2}) {
    return with_variant(which.variant, data.variant(which, tiny), [&](const auto& /*model*/, const auto& running) {
        auto weights = initial_weights(running.places(), running.shape(), 1);
        traced_transformer traced(running, weights, tiny.of(which).length);
        return trace_of(traced, which, tiny, data, settings);
    });
}

attention_trace trace_of_text(const std::string& variant) {
    return trace({"text", variant, "none", 1});
}

} // namespace

TEST_CASE("what is said of the extra sink is the mean over sequences, steps and heads") {
    const attention_trace found = trace_of_text("front");
    double mass = 0.0;
    double heads = 0.0;
    for (const unmask::sink_record& record : found.all) {
        CHECK(record.length == tiny.text.length);
        CHECK(record.sinks == 1);
        for (index_t layer = 0; layer < record.layers; ++layer) {
            for (index_t head = 0; head < record.heads; ++head) {
                mass += unmask::extra_mass(record, layer, head);
                heads += 1.0;
            }
        }
    }
    const auto said = sinks_of(found, {});
    CHECK(said.at("sequences") == 2);
    CHECK(said.at("extra_sink").at("mass").get<double>() == doctest::Approx(mass / heads).epsilon(1e-4));
    CHECK(sinks_of(trace_of_text("none"), {}).at("extra_sink").is_null());
}

TEST_CASE("a model in blocks shows the queries of a block, and the keys up to its end") {
    const attention_trace found = trace_of_text("block_front");
    for (const unmask::sink_record& record : found.all) {
        CHECK(record.length % tiny.block == 0);
        for (const index_t queries : record.seen_by) {
            CHECK(queries == tiny.block);
        }
    }
}

TEST_CASE("where every position is masked, its queries are all that there are") {
    for (const char* variant : {"none", "end", "key_value_sink"}) {
        CAPTURE(variant);
        const attention_trace found = trace({"byte_pairs", variant, "none", 1}, {.sequences = 1, .prompt = 0.0});
        REQUIRE(found.masked.size() == found.all.size());
        for (std::size_t i = 0; i < found.all.front().received.size(); ++i) {
            CHECK(found.masked.front().received[i] == doctest::Approx(found.all.front().received[i]).epsilon(1e-5));
        }
        CHECK(found.masked.front().seen_by == found.all.front().seen_by);
        CHECK(found.masked.back().received != found.all.back().received);
    }
}

TEST_CASE("classes of keys share the attention of masked positions") {
    const job which{"byte_pairs", "front", "none", 1};
    const std::vector<token_t> delimiters = data.delimiters(which);
    const auto text = [&](token_t token) { return data.symbols(which).decode(std::span(&token, 1)); };
    CHECK(std::ranges::any_of(delimiters, [&](token_t token) { return text(token) == ","; }));
    CHECK(std::ranges::none_of(delimiters, [&](token_t token) { return text(token).find('a') != std::string::npos; }));

    const auto shares = sinks_of(trace(which), delimiters).at("class_shares");
    const auto number = [&](const char* name, const char* which_number) {
        return shares.at(name).at(which_number).get<double>();
    };
    CHECK(number("mask", "mass") + number("delimiter", "mass") + number("content", "mass") + number("extra", "mass") ==
          doctest::Approx(1.0).epsilon(1e-4));
    CHECK(number("own", "mass") > 0.0);
    CHECK(number("own", "mass") < number("mask", "mass"));
    // An untrained model's attention is nearly even: 24 of 33 keys are masked at first, and two less in each step.
    CHECK(shares.at("mask").at("uniform").at(0).get<double>() == doctest::Approx(22.0 / 33.0).epsilon(1e-4));
    CHECK(shares.at("mask").at("by_quarter").at(0).get<double>() == doctest::Approx(22.0 / 33.0).epsilon(0.1));
    CHECK(number("content", "value_norm") == 1.0);
    CHECK(sinks_of(trace_of_text("block_front"), {}).at("class_shares").is_null());
}
