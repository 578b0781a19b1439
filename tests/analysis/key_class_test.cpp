// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <string>
#include <vector>

#include <unmask/analysis/key_class.hpp>

#include "records.hpp"

using namespace test;

namespace {

constexpr auto masked = static_cast<std::size_t>(key_class::masked);
constexpr auto delimiter = static_cast<std::size_t>(key_class::delimiter);
constexpr auto content = static_cast<std::size_t>(key_class::content);
constexpr auto extra = static_cast<std::size_t>(key_class::extra);

// [CLS] a _ _ [SEP], and an extra sink.
sink_record framed() {
    sink_record record = record_of({2, 1, 0.5F, 0.5F, 0, 1}, 1);
    record.masked = {0, 0, 1, 1, 0};
    record.tokens = {101, 7, 8, 102, 102}; // after the step: a masked position was given a delimiter
    record.value_norms = {0.5F, 1, 2, 4, 3, 0.25F};
    return record;
}

template <class Misuse>
std::string complaint(const Misuse& misuse) {
    try {
        static_cast<void>(misuse());
    } catch (const invalid_argument& error) {
        return error.what();
    }
    return "";
}

} // namespace

TEST_CASE("keys by their classes") {
    const sink_record record = framed();
    CHECK(classes_of(record, std::array<token_t, 2>{101, 102}) ==
          std::vector<key_class>{key_class::delimiter, key_class::content, key_class::masked, key_class::masked,
                                 key_class::delimiter, key_class::extra});
    CHECK(classes_of(record, {})[0] == key_class::content);
}

TEST_CASE("what a class gets of a head, beside what an even spread would give it") {
    const sink_record record = framed();
    const auto shares = class_shares(record, 0, 0, classes_of(record, std::array<token_t, 2>{101, 102}));
    CHECK(shares[delimiter].mass == 0.4);
    CHECK(shares[content].mass == 0.2);
    CHECK(shares[masked].mass == 0.2);
    CHECK(shares[extra].mass == 0.2);
    CHECK(std::abs(shares[delimiter].uniform - 2.0 / 6.0) < 1e-12);
    CHECK(std::abs(shares[extra].uniform - 1.0 / 6.0) < 1e-12);
    CHECK(shares[delimiter].value_norm == 0.875); // (0.5 + 3) / 2 over the median of five, 2
    CHECK(shares[masked].value_norm == 1.5);
    CHECK(shares[extra].value_norm == 0.125);

    // A key that fewer queries see has a smaller even share; a class without keys has no norm.
    sink_record causal = record_of({3, 2, 1});
    causal.seen_by = {3, 2, 1};
    causal.masked = {0, 0, 1};
    const auto of_causal = class_shares(causal, 0, 0, classes_of(causal, {}));
    CHECK(std::abs(of_causal[content].uniform - 5.0 / 6.0) < 1e-12);
    CHECK(std::abs(of_causal[content].mass - 5.0 / 6.0) < 1e-12);
    CHECK(of_causal[extra].mass == 0.0);
    CHECK(std::isnan(of_causal[extra].value_norm));
    CHECK(std::isnan(class_shares(record_of({0, 0}), 0, 0, std::vector(2, key_class::content))[content].mass));
}

TEST_CASE("what positions give to themselves") {
    sink_record record = framed();
    record.own = {1, 0.5F, 0, 0.25F, 0};
    const class_share own = own_share(record, 0, 0);
    CHECK(own.mass == 0.35);
    CHECK(std::abs(own.uniform - 3.0 / 30.0) < 1e-12); // three that see themselves, of 5 queries × 6 keys
    CHECK(std::isnan(own.value_norm));
    record.own.pop_back();
    CHECK(complaint([&] { return own_share(record, 0, 0); }) == "sink_record::own_of: own.size() is 4, expected 5");
    CHECK(complaint([&] { return own_share(record, 1, 0); }) ==
          "sink_record::received_of: layer is 1, expected between 0 and 0");
}

TEST_CASE("shares of all classes are one") {
    std::mt19937 random(3);
    for (int run = 0; run < 200; ++run) {
        for (sink_record& record : random_steps(random, 2)) {
            record.masked.assign(static_cast<std::size_t>(record.length), 0);
            for (auto& each : record.masked) {
                each = random() % 2 == 0 ? 1 : 0;
            }
            const auto shares = class_shares(record, record.layers - 1, record.heads - 1, classes_of(record, {}));
            double mass = 0.0;
            double uniform = 0.0;
            for (const class_share& each : shares) {
                mass += each.mass;
                uniform += each.uniform;
            }
            CHECK((std::isnan(mass) || std::abs(mass - 1.0) < 1e-9));
            CHECK((std::isnan(uniform) || std::abs(uniform - 1.0) < 1e-9));
        }
    }
}

TEST_CASE("misuse of classes") {
    sink_record record = framed();
    CHECK(complaint([&] { return class_shares(record, 0, 0, std::vector(5, key_class::content)); }) ==
          "class_shares: classes.size() is 5, expected 6, one a key");
    record.tokens.clear();
    CHECK(classes_of(record, {}).size() == 6);
    CHECK(complaint([&] { return classes_of(record, std::array<token_t, 1>{1}); }) ==
          "classes_of: record.tokens.size() is 0, expected 5 (length)");
    record.masked.clear();
    CHECK(complaint([&] { return classes_of(record, {}); }) ==
          "classes_of: record.masked.size() is 0, expected 5 (length)");
}
