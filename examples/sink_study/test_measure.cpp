// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <unmask/analysis/sink_strength.hpp>

#include "measure.hpp"

using namespace sink_study;

namespace {

const study_size tiny = size_of("tiny");
const study_data data(corpus{
    "In the beginning was the word, and the word was long enough to be cut into windows.\n",
    "And it was held out, for there must be some text that no model has seen before it ends.\n"});

std::vector<unmask::sink_record> records_of(const std::string& variant) {
    const job which{"text", variant, "none", 1};
    return with_variant(variant, data.variant(which, tiny), [&](const auto& /*model*/, const auto& running) {
        auto weights = initial_weights(running.places(), running.shape(), 1);
        traced_transformer traced(running, weights, tiny.text.length);
        return trace_of(traced, which, tiny, data, {.sequences = 2});
    });
}

} // namespace

TEST_CASE("what is said of the extra sink is the mean over sequences, steps and heads") {
    const auto records = records_of("front");
    double mass = 0.0;
    double heads = 0.0;
    for (const unmask::sink_record& record : records) {
        CHECK(record.length == tiny.text.length);
        CHECK(record.sinks == 1);
        for (index_t layer = 0; layer < record.layers; ++layer) {
            for (index_t head = 0; head < record.heads; ++head) {
                mass += unmask::extra_mass(record, layer, head);
                heads += 1.0;
            }
        }
    }
    const auto said = sinks_of(records);
    CHECK(said.at("sequences") == 2);
    CHECK(said.at("extra_sink").at("mass").get<double>() == doctest::Approx(mass / heads).epsilon(1e-4));
    CHECK(sinks_of(records_of("none")).at("extra_sink").is_null());
}

TEST_CASE("a model in blocks shows the queries of a block, and the keys up to its end") {
    for (const unmask::sink_record& record : records_of("block_front")) {
        CHECK(record.length % tiny.block == 0);
        for (const index_t queries : record.seen_by) {
            CHECK(queries == tiny.block);
        }
    }
}
