// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <vector>

#include <unmask/mask/hidden_keys.hpp>

#include "calls.inl"
#include "comparison.hpp"
#include "reference_calls.inl"

// Kernels that are compiled for one mask or sink, as a user's are: the other tests call those of any_mask.

using namespace test;

TEST_CASE("a mask of a type of its own gives the bits that it gives behind any_mask") {
    std::mt19937 random(20);
    problem<float> own({1, 70, 90, 2, 1, 40}, random);
    problem<float> erased(own);
    const extra_sink mask{bidirectional{}, 10, 3};
    run_on_cpu(own, mask);
    run_on_cpu(erased, any_mask(mask));
    CHECK(own.output == erased.output);
    CHECK(own.log_sum_exp == erased.log_sum_exp);
    CHECK(own.d_query == erased.d_query);
    CHECK(own.d_key == erased.d_key);
    CHECK(own.d_value == erased.d_value);
    CHECK(own.received == erased.received);
}

TEST_CASE("a predicate without row() is exact") {
    std::mt19937 random(18);
    problem<float> p({1, 80, 140, 2, 1, 40}, random);
    CHECK(compare<key_value_sink>(p, predicate(every_third{}), {}).passed());
    CHECK(compare<no_sink>(p, predicate(every_third{}) && causal{}, {.soft_cap = 3.0F}).passed());
}

namespace {

// Hidden keys [0, 70), which are whole tiles, and every third one after them.
std::vector<range> hidden_of(index_t length) {
    std::vector<std::uint8_t> hidden;
    for (index_t i = 0; i < length; ++i) {
        hidden.push_back(i < 70 || i % 3 == 0 ? 1 : 0);
    }
    return hidden_runs(hidden);
}

} // namespace

TEST_CASE("hidden keys are exact, and whatever they hold does not matter") {
    std::mt19937 random(21);
    problem<float> p({1, 80, 150, 2, 1, 40}, random);
    const std::vector<range> runs = hidden_of(150);
    CHECK(compare<no_sink>(p, hidden_keys{runs}, {}).passed());
    CHECK(compare<key_value_sink>(p, extra_sink{hidden_keys{runs, own_position::visible}, 20}, {.soft_cap = 3.0F})
              .passed());
    problem<float> spoilt(p);
    for (std::size_t i = 0; i < spoilt.key.size(); ++i) {
        const auto k = static_cast<index_t>(i / 40);
        if (!hidden_keys{runs}.visible(0, k)) {
            spoilt.key[i] = spoilt.value[i] = std::numeric_limits<float>::quiet_NaN();
        }
    }
    run_on_cpu(p, hidden_keys{runs});
    run_on_cpu(spoilt, hidden_keys{runs});
    CHECK(same_bits(p.output, spoilt.output));
    CHECK(same_bits(p.log_sum_exp, spoilt.log_sum_exp));
    CHECK(same_bits(p.d_query, spoilt.d_query));
    CHECK(same_bits(p.received, spoilt.received));
}

TEST_CASE("a batch that hides different keys is a packed sequence of documents") {
    std::mt19937 random(22);
    constexpr index_t length = 60;
    problem<float> packed({1, 2 * length, 2 * length, 2, 1, 40}, random);
    std::vector<std::uint8_t> hidden;
    for (index_t i = 0; i < 2 * length; ++i) {
        hidden.push_back(i % 7 < 3 ? 1 : 0);
    }
    const std::vector<range> runs = hidden_runs(hidden);
    const std::vector<range> documents = document_ranges(std::vector<index_t>{length, length});
    run_on_cpu(packed, document{documents} && hidden_keys{runs});
    for (const index_t sequence : {0, 1}) {
        problem<float> alone({1, length, length, 2, 1, 40}, random);
        const auto rows = [&](const std::vector<float>& all) {
            const auto half = static_cast<std::ptrdiff_t>(all.size() / 2);
            return std::vector<float>(all.begin() + sequence * half, all.begin() + (sequence + 1) * half);
        };
        alone.query = rows(packed.query);
        alone.key = rows(packed.key);
        alone.value = rows(packed.value);
        const std::vector<range> own =
            hidden_runs(std::span(hidden).subspan(static_cast<std::size_t>(sequence * length), length));
        run_on_cpu(alone, hidden_keys{own});
        const auto expected = rows(packed.output);
        for (std::size_t i = 0; i < expected.size(); ++i) {
            CHECK(alone.output[i] == doctest::Approx(expected[i]).epsilon(1e-5));
        }
    }
}

namespace {

// A user's own sink policy: a fixed logit on every second head.
struct alternating_sink {
    static constexpr bool present = true;
    static constexpr bool has_key = false;
    static constexpr bool has_value = false;
    float strength = 1.5F;
    constexpr float logit(index_t head) const { return head % 2 == 0 ? strength : -1e30F; }
};

} // namespace

TEST_CASE("a user's own sink policy is a sink policy") {
    std::mt19937 random(19);
    problem<float> p({1, 70, 70, 2, 1, 40}, random);
    CHECK(compare<alternating_sink>(p, causal{}, {}).passed());
    problem<float> without(p);
    run_on_cpu(without, any_mask(causal{}));
    for (std::size_t i = 0; i < p.output.size(); ++i) { // heads 0 and 1 in turn, 40 floats each
        CHECK((i / 40 % 2 == 1) == (p.output[i] == without.output[i]));
    }
}
