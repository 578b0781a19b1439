// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// What must hold on cuda_executor besides being close to the reference.

#include <doctest/doctest.h>

#include "device_problem.hpp"
#include "difference.hpp"

namespace {

using namespace test;

template <class T>
void check_equal_masks(const any_mask& a, const any_mask& b) {
    std::mt19937 random(7);
    problem<T> first({1, 150, 150, 2, 1, 64}, random);
    problem<T> second(first);
    run_on_device<no_sink>(first, a, {});
    run_on_device<no_sink>(second, b, {});
    CHECK(difference(first.output, second.output) == 0.0);
    CHECK(first.log_sum_exp == second.log_sum_exp);
}

} // namespace

TEST_CASE_TEMPLATE("masks that mean the same give the same bits", T, bfloat16, float) {
    check_equal_masks<T>(block{1}, causal{});
    check_equal_masks<T>(block{150}, bidirectional{});
    check_equal_masks<T>(sliding_window{150, 0}, causal{});
    check_equal_masks<T>(prefix{150}, bidirectional{});
}

TEST_CASE_TEMPLATE("grouped heads are repeated heads", T, bfloat16, float) {
    std::mt19937 random(8);
    problem<T> grouped({1, 90, 100, 4, 2, 32}, random);
    problem<T> repeated({1, 90, 100, 4, 4, 32}, random);
    repeated.query = grouped.query;
    for (std::size_t key = 0; key < 100; ++key) {
        for (std::size_t head = 0; head < 4; ++head) {
            for (std::size_t d = 0; d < 32; ++d) {
                repeated.key[(key * 4 + head) * 32 + d] = grouped.key[(key * 2 + head / 2) * 32 + d];
                repeated.value[(key * 4 + head) * 32 + d] = grouped.value[(key * 2 + head / 2) * 32 + d];
            }
        }
    }
    run_on_device<no_sink>(grouped, any_mask(causal{}), {});
    run_on_device<no_sink>(repeated, any_mask(causal{}), {});
    CHECK(difference(grouped.output, repeated.output) <= 1.0); // rows are packed otherwise, and meet other tiles first
}

TEST_CASE("a sink token in the sequence is the folded sink") {
    constexpr index_t content = 70;
    std::mt19937 random(9);
    problem<bfloat16> folded({1, content, content, 2, 2, 64}, random);
    problem<bfloat16> token({1, content + 1, content + 1, 2, 2, 64}, random);
    const auto insert = [](auto& into, const auto& sink, const auto& rest) {
        for (std::size_t i = 0; i < sink.size(); ++i) {
            into[i] = bfloat16(static_cast<float>(sink[i]));
        }
        std::copy(rest.begin(), rest.end(), into.begin() + static_cast<std::ptrdiff_t>(sink.size()));
    };
    for (auto* each : {&folded.sink_keys, &folded.sink_values}) {
        for (float& value : *each) {
            value = static_cast<float>(bfloat16(value));
        }
    }
    insert(token.key, folded.sink_keys, folded.key);
    insert(token.value, folded.sink_values, folded.value);
    insert(token.query, folded.sink_keys, folded.query);
    run_on_device<key_value_sink>(folded, any_mask(bidirectional{}), {});
    run_on_device<no_sink>(token, any_mask(extra_sink{bidirectional{}}), {});
    const std::vector<bfloat16> rows(token.output.begin() + 2 * 64, token.output.end());
    CHECK(difference(folded.output, rows) <= 1.0);
}

TEST_CASE("a mask that cannot list its rows is asked about every element of a partial tile") {
    std::mt19937 random(10);
    const predicate<every_third> mask{every_third{}};
    problem<bfloat16> fast({2, 70, 90, 4, 2, 64}, random);
    CHECK(compare_on_device<no_sink>(fast, mask, mask, {}).passed());
    problem<float> plain({1, 70, 90, 2, 1, 40}, random);
    CHECK(compare_on_device<no_sink>(plain, mask, mask, {}).passed());
}

TEST_CASE("more ragged sequences than a launch takes") {
    std::mt19937 random(11);
    problem<bfloat16> input({140, 3, 9, 2, 1, 32}, random);
    std::vector<index_t> query_lengths;
    std::vector<index_t> key_lengths;
    for (index_t b = 0; b < 140; ++b) {
        query_lengths.push_back(b % 4);
        key_lengths.push_back(b % 10);
    }
    attention_options options;
    options.query_lengths = query_lengths;
    options.key_lengths = key_lengths;
    const any_mask mask(causal{});
    CHECK(compare_on_device<key_value_sink>(input, mask, mask, options).passed());
}

TEST_CASE("few queries and many keys: keys are split, and merged") {
    std::mt19937 random(12);
    for (const any_mask& mask : {any_mask(bidirectional{}), any_mask(prefix{700}), any_mask(sliding_window{40, 600})}) {
        problem<bfloat16> fast({1, 5, 1500, 4, 2, 64}, random);
        CHECK(compare_on_device<key_value_sink>(fast, mask, mask, {}).passed());
        problem<float> plain({1, 5, 1500, 2, 1, 20}, random);
        CHECK(compare_on_device<key_value_sink>(plain, mask, mask, {}).passed());
    }
}

TEST_CASE("nothing to attend to, nobody to attend") {
    std::mt19937 random(13);
    const any_mask mask(bidirectional{});
    for (const shape& size : {shape{1, 5, 0, 2, 1, 64}, shape{1, 0, 5, 2, 1, 64}, shape{0, 5, 5, 2, 1, 64}}) {
        CAPTURE(to_string(size));
        problem<bfloat16> input(size, random);
        CHECK(compare_on_device<no_sink>(input, mask, mask, {}).passed());
    }
}

TEST_CASE("large and infinite scores") {
    std::mt19937 random(14);
    problem<bfloat16> input({1, 70, 80, 1, 1, 64}, random);
    for (bfloat16& each : input.query) {
        each = bfloat16(static_cast<float>(each) * 300.0F);
    }
    const any_mask mask(causal{});
    CHECK(compare_on_device<no_sink>(input, mask, mask, {}).passed());
}
