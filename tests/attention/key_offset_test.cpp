// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <limits>
#include <random>
#include <span>
#include <vector>

#include <doctest/doctest.h>

#include <unmask/attention/attention_state.hpp>

#include "problem.hpp"

// Attention over a part of a sequence's keys, which begin at their key offset: parts are put together to the whole.

using namespace test;

namespace {

constexpr index_t queries = 70;
constexpr index_t keys = 90;
constexpr index_t heads = 2;
constexpr index_t offset = 20; // of the queries

// The largest distance, where NaN equals NaN and ∞ itself.
double distance(const std::vector<float>& a, const std::vector<float>& b) {
    REQUIRE(a.size() == b.size());
    double largest = 0.0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        const bool same = a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i]));
        const double apart = same ? 0.0 : std::fabs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
        largest = std::isnan(apart) ? std::numeric_limits<double>::infinity() : std::max(largest, apart);
    }
    return largest;
}

// The problem with some of its keys only.
problem<float> part_of(const problem<float>& whole, range part) {
    problem<float> result(whole);
    result.size.key_length = part.end - part.begin;
    const auto cut = [&](std::vector<float>& values) {
        const std::vector<float> all = values;
        const index_t row = std::ssize(all) / keys;
        values.assign(all.begin() + part.begin * row, all.begin() + part.end * row);
    };
    cut(result.key);
    cut(result.value);
    return result.fresh();
}

template <class Sink>
void forward(problem<float>& p, const any_mask& mask, index_t first_key) {
    cpu_calls<float, any_mask, Sink>::forward(cpu_executor{1}, p.tensors(), mask, p.template sink<Sink>(),
                                              {.query_offset = offset, .key_offset = first_key});
}

template <class Sink>
void backward(problem<float>& p, const any_mask& mask, index_t first_key) {
    const attention_options options{.query_offset = offset, .key_offset = first_key};
    const auto sink = p.template sink<Sink>();
    using calls = cpu_calls<float, any_mask, Sink>;
    calls::backward(cpu_executor{1}, p.tensors(), p.gradients(sink), mask, sink, options);
    calls::received(cpu_executor{1}, p.tensors(), p.received_view(), mask, sink, options);
}

// Merges the output and log-sum-exp of other keys into those of `to`.
void merge_into(problem<float>& to, problem<float>& other) {
    for (std::size_t row = 0; row < to.log_sum_exp.size(); ++row) { // of [heads, queries]
        const std::size_t at = (row % queries * heads + row / queries) * to.dim();
        const auto state = [&](problem<float>& p) {
            return state_of(std::span(p.output).subspan(at, p.dim()), p.log_sum_exp[row]);
        };
        const attention_state merged = merge(state(to), state(other));
        merged.finish();
        to.log_sum_exp[row] = merged.log_sum_exp();
    }
}

// Those of the first keys, then those of the others, of a [rows, keys, …] tensor.
std::vector<float> joined(const std::vector<float>& first, const std::vector<float>& second, index_t rows) {
    std::vector<float> result;
    for (index_t row = 0; row < rows; ++row) {
        for (const std::vector<float>* part : {&first, &second}) {
            const index_t length = std::ssize(*part) / rows;
            result.insert(result.end(), part->begin() + row * length, part->begin() + (row + 1) * length);
        }
    }
    return result;
}

} // namespace

TEST_CASE_TEMPLATE("keys in two parts give what they give in one, under every mask", Sink, no_sink, off_by_one_sink,
                   logit_sink, key_sink, key_value_sink) {
    std::mt19937 random(23);
    const std::vector<range> documents = some_documents(keys);
    for (const index_t dim : {32, 40}) {
        for (const auto& each : masks(keys, documents)) {
            const auto& name = each.first; // names, which lambdas can capture
            const auto& mask = each.second;
            CAPTURE(name);
            const index_t split = std::uniform_int_distribution<index_t>(0, keys)(random);
            CAPTURE(split);
            problem<float> whole({1, queries, keys, heads, 1, dim}, random);
            whole.key[static_cast<std::size_t>(77 * dim)] = std::numeric_limits<float>::quiet_NaN();
            forward<Sink>(whole, mask, 0);
            backward<Sink>(whole, mask, 0);

            problem<float> first = part_of(whole, {0, split}); // the sink is there once
            problem<float> second = part_of(whole, {split, keys});
            forward<Sink>(first, mask, 0);
            forward<no_sink>(second, mask, split);
            merge_into(first, second);
            CHECK(distance(first.output, whole.output) < 1e-6);
            CHECK(distance(first.log_sum_exp, whole.log_sum_exp) < 2e-6);

            // Each part's share of the gradients, from what all keys together gave.
            first.output = second.output = whole.output;
            first.log_sum_exp = second.log_sum_exp = whole.log_sum_exp;
            backward<Sink>(first, mask, 0);
            backward<no_sink>(second, mask, split);
            std::transform(first.d_query.begin(), first.d_query.end(), second.d_query.begin(), first.d_query.begin(),
                           std::plus<>{});
            CHECK(distance(first.d_query, whole.d_query) < 5e-6);
            CHECK(distance(joined(first.d_key, second.d_key, 1), whole.d_key) < 5e-6);
            CHECK(distance(joined(first.d_value, second.d_value, 1), whole.d_value) < 5e-6);
            CHECK(distance(joined(first.received, second.received, heads), whole.received) < 5e-6);
            CHECK(same_bits(first.d_logits, whole.d_logits));
            CHECK(same_bits(first.d_keys, whole.d_keys));
            CHECK(same_bits(first.d_values, whole.d_values));
        }
    }
}

TEST_CASE("attention_state: NaN stays, whichever state it is in") {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    for (const bool swapped : {false, true}) {
        std::vector<float> values{1.0F, 2.0F};
        std::vector<float> bad{nan, 3.0F};
        const attention_state good = state_of(values, 5.0F);
        const attention_state merged = swapped ? merge(state_of(bad, nan), good) : merge(good, state_of(bad, nan));
        merged.finish();
        CHECK(std::isnan(merged.log_sum_exp()));
        CHECK(std::isnan(merged.output[0]));
        CHECK(std::isnan(merged.output[1]));
    }
}
