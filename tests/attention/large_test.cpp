// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <doctest/doctest.h>

#include "comparison.hpp"

// Sizes at which kernels cut their work: chunks of keys, blocks of queries, rounds; and what must not depend on the
// cuts.

using namespace test;

namespace {

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

using calls_without_sink = cpu_calls<float, any_mask, no_sink>;

template <class T>
void check_rows_alone() {
    std::mt19937 random(31);
    const index_t keys = 4700; // three chunks or more
    problem<T> whole({1, 300, keys, 4, 2, 24}, random);
    const auto sink = whole.template sink<key_value_sink>();
    const attention_options options{.query_offset = keys - 300};
    using calls = cpu_calls<T, any_mask, key_value_sink>;
    calls::forward(cpu_executor{1}, whole.tensors(), causal{}, sink, options);
    for (const index_t queries : {1, 5, 40}) {
        for (const int threads : {1, 2, 16}) { // with more threads, chunks become tasks
            CAPTURE(queries);
            CAPTURE(threads);
            problem<T> some = last_rows(whole, queries);
            calls::forward(cpu_executor{threads}, some.tensors(), causal{}, some.template sink<key_value_sink>(),
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
    calls_without_sink::forward(cpu_executor{2}, batch.tensors(), bidirectional{}, no_sink{}, {.key_lengths = lengths});
    problem<float> alone({1, 50, 2300, 2, 1, 32}, random);
    std::copy_n(batch.query.begin() + 50 * 64, 50 * 64, alone.query.begin());
    std::copy_n(batch.key.begin() + 2600 * 32, 2300 * 32, alone.key.begin());
    std::copy_n(batch.value.begin() + 2600 * 32, 2300 * 32, alone.value.begin());
    calls_without_sink::forward(cpu_executor{1}, alone.tensors(), bidirectional{}, no_sink{}, {});
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
        CHECK(compare<no_sink>(input, any_mask(bidirectional{}), {}, cpu_executor{2}).passed());
    }
}

TEST_CASE("gradients that are not wanted are left out, and the others are the same") {
    std::mt19937 random(35);
    problem<float> all({1, 90, 90, 2, 1, 24}, random);
    run_on_cpu(all, any_mask(causal{}));
    for (const int left_out : {0, 1, 2}) {
        problem<float> some = all.fresh();
        some.output = all.output;
        some.log_sum_exp = all.log_sum_exp;
        attention_gradients<float> gradients = some.gradients(no_sink{});
        (left_out == 0 ? gradients.query : left_out == 1 ? gradients.key : gradients.value) = {};
        calls_without_sink::backward(cpu_executor{1}, some.tensors(), gradients, causal{}, no_sink{}, {});
        CHECK(same_bits(some.d_query, all.d_query) == (left_out != 0));
        CHECK(same_bits(some.d_key, all.d_key) == (left_out != 1));
        CHECK(same_bits(some.d_value, all.d_value) == (left_out != 2));
    }
}
