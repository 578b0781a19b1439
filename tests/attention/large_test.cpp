// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <cstring>

#include <doctest/doctest.h>

#include "problem.hpp"

// Sizes at which kernels cut their work: chunks of keys, blocks of queries, rounds; and what must not depend on the cuts.

using namespace test;

namespace {

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

// The same problem, nothing computed yet.
problem<float> fresh(const problem<float>& p) {
    problem<float> result(p);
    for (std::vector<float>* each : {&result.output, &result.log_sum_exp, &result.received, &result.d_query,
                                     &result.d_key, &result.d_value, &result.d_logits}) {
        std::fill(each->begin(), each->end(), std::numeric_limits<float>::quiet_NaN());
    }
    return result;
}

// The last `queries` rows of a problem, and everything else as it is.
template <class T>
problem<T> last_rows(const problem<T>& whole, index_t queries) {
    std::mt19937 unused;
    shape size = whole.size;
    size.query_length = queries;
    problem<T> result(size, unused);
    const auto row = static_cast<std::ptrdiff_t>(size.heads * size.head_dim);
    REQUIRE(size.batch == 1);
    result.query.assign(whole.query.end() - row * queries, whole.query.end());
    result.d_output.assign(whole.d_output.end() - row * queries, whole.d_output.end());
    result.key = whole.key;
    result.value = whole.value;
    result.sink_keys = whole.sink_keys;
    result.sink_values = whole.sink_values;
    return result;
}

// The first task last, and worker numbers that jump about.
struct backwards_executor {
    [[nodiscard]] int workers() const { return 3; }
    template <class Body>
    void parallel_for(index_t tasks, Body&& body) const {
        for (index_t task = tasks - 1; task >= 0; --task) {
            body(task, static_cast<int>(task % 3));
        }
    }
};
static_assert(host_executor<backwards_executor>);

template <class T>
void check_rows_alone() {
    std::mt19937 random(31);
    const index_t keys = 4700; // three chunks or more
    problem<T> whole({1, 300, keys, 4, 2, 24}, random);
    const auto sink = whole.template sink<key_value_sink>();
    const attention_options options{.query_offset = keys - 300};
    attention_forward(cpu_executor{1}, whole.tensors(), causal{}, sink, options);
    for (const index_t queries : {1, 5, 40}) {
        for (const int threads : {1, 2, 16}) { // with more threads, chunks become tasks
            CAPTURE(queries);
            CAPTURE(threads);
            problem<T> some = last_rows(whole, queries);
            attention_forward(cpu_executor{threads}, some.tensors(), causal{}, some.template sink<key_value_sink>(),
                              {.query_offset = keys - queries});
            const auto count = static_cast<std::ptrdiff_t>(some.output.size());
            CHECK(same_bits(some.output, std::vector<T>(whole.output.end() - count, whole.output.end())));
            const auto at = static_cast<std::size_t>(300 - queries);
            CHECK(some.log_sum_exp[0] == whole.log_sum_exp[at]);
        }
    }
}

} // namespace

TEST_CASE("a row's bits do not depend on the rows beside it, on threads, or on how keys are split") {
    check_rows_alone<float>();
    check_rows_alone<bfloat16>();
}

TEST_CASE("a row's bits do not depend on the batch or on padding") {
    std::mt19937 random(32);
    problem<float> batch({3, 50, 2600, 2, 1, 32}, random);
    const index_t lengths[] = {2600, 2300, 90};
    attention_forward(cpu_executor{2}, batch.tensors(), bidirectional{}, no_sink{}, {.key_lengths = lengths});
    problem<float> alone({1, 50, 2300, 2, 1, 32}, random);
    std::copy_n(batch.query.begin() + 50 * 64, 50 * 64, alone.query.begin());
    std::copy_n(batch.key.begin() + 2600 * 32, 2300 * 32, alone.key.begin());
    std::copy_n(batch.value.begin() + 2600 * 32, 2300 * 32, alone.value.begin());
    attention_forward(cpu_executor{1}, alone.tensors(), bidirectional{});
    CHECK(std::equal(alone.output.begin(), alone.output.end(), batch.output.begin() + 50 * 64));
}

TEST_CASE("few queries against many keys, and many blocks: against the reference") {
    std::mt19937 random(33);
    for (const shape& size : {shape{1, 7, 4700, 2, 1, 16}, shape{1, 300, 700, 2, 1, 8}, shape{1, 40, 1300, 2, 2, 40}}) {
        const index_t offset = std::max<index_t>(0, size.key_length - size.query_length);
        const std::vector<range> documents = some_documents(size.query_length + offset);
        for (const auto& [name, mask] : masks(size.query_length + offset, documents)) {
            const std::string& mask_name = name; // clang 14 does not capture a structured binding
            CAPTURE(mask_name);
            CAPTURE(to_string(size));
            problem<float> input(size, random);
            CHECK(compare<key_value_sink>(input, mask, {.query_offset = offset}, cpu_executor{2}).passed());
        }
        problem<bfloat16> input(size, random);
        CHECK(compare<no_sink>(input, bidirectional{}, {}, cpu_executor{2}).passed());
    }
}

TEST_CASE("every executor gives the same bits, whatever the order of its tasks") {
    std::mt19937 random(34);
    for (const shape& size : {shape{1, 600, 1300, 2, 1, 16}, shape{2, 9, 2500, 4, 2, 32}}) {
        problem<float> expected(size, random);
        const auto sink = expected.sink<logit_sink>();
        const auto run = [&](problem<float>& p, const auto& exec) {
            const sliding_window mask{400, 300};
            attention_forward(exec, p.tensors(), mask, sink);
            attention_backward(exec, p.tensors(), p.gradients(sink), mask, sink);
            attention_received(exec, p.tensors(), p.received_view(), mask, sink);
        };
        run(expected, cpu_executor{1});
        const auto check = [&](const auto& exec) {
            problem<float> p = fresh(expected);
            run(p, exec);
            CHECK(same_bits(p.output, expected.output));
            CHECK(same_bits(p.log_sum_exp, expected.log_sum_exp));
            CHECK(same_bits(p.received, expected.received));
            CHECK(same_bits(p.d_query, expected.d_query));
            CHECK(same_bits(p.d_key, expected.d_key));
            CHECK(same_bits(p.d_value, expected.d_value));
            CHECK(same_bits(p.d_logits, expected.d_logits));
        };
        check(cpu_executor{2});
        check(cpu_executor{5});
        check(backwards_executor{});
    }
}

TEST_CASE("gradients that are not wanted are left out, and the others are the same") {
    std::mt19937 random(35);
    problem<float> all({1, 90, 90, 2, 1, 24}, random);
    attention_forward(cpu_executor{1}, all.tensors(), causal{});
    attention_backward(cpu_executor{1}, all.tensors(), all.gradients(no_sink{}), causal{});
    for (const int left_out : {0, 1, 2}) {
        problem<float> some = fresh(all);
        some.output = all.output;
        some.log_sum_exp = all.log_sum_exp;
        attention_gradients<float> gradients = some.gradients(no_sink{});
        (left_out == 0 ? gradients.query : left_out == 1 ? gradients.key : gradients.value) = {};
        attention_backward(cpu_executor{1}, some.tensors(), gradients, causal{});
        CHECK(same_bits(some.d_query, all.d_query) == (left_out != 0));
        CHECK(same_bits(some.d_key, all.d_key) == (left_out != 1));
        CHECK(same_bits(some.d_value, all.d_value) == (left_out != 2));
    }
}
