// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// What must hold between gradients of different calls on cuda_executor, whatever the kernels do inside.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <random>
#include <vector>

#include <cuda_runtime_api.h>
#include <doctest/doctest.h>

#include "device_problem.hpp"
#include "difference.hpp"

namespace {

using namespace test;

// Forward and backward.
template <class Sink = no_sink, class T>
problem<T> solved(problem<T> input, const any_mask& mask, const attention_options& options = {}) {
    const device_problem<T> device(input);
    const auto sink = device.template sink<Sink>();
    device_calls<T, any_mask, Sink>::forward({}, device.tensors(), mask, sink, options);
    device_gradients<T, any_mask, Sink>::backward({}, device.tensors(), device.gradients(sink), mask, sink, options);
    REQUIRE(cudaDeviceSynchronize() == cudaSuccess);
    device.fetch();
    return input;
}

// Of sums that run in another order, or whose factors were rounded once more on the way.
template <class T>
constexpr double nearly = std::is_same_v<T, float> ? 16.0 : 3.0;

template <class T>
void check_same_gradients(const problem<T>& a, const problem<T>& b, double units) {
    CHECK(difference(a.d_query, b.d_query) <= units);
    CHECK(difference(a.d_key, b.d_key) <= units);
    CHECK(difference(a.d_value, b.d_value) <= units);
}

// values[i] = to(a[i], b[i])
template <class T, class Make>
std::vector<T> made_of(const std::vector<T>& a, const std::vector<T>& b, const Make& make) {
    std::vector<T> result;
    for (std::size_t i = 0; i < a.size(); ++i) {
        result.push_back(static_cast<T>(make(static_cast<float>(a[i]), static_cast<float>(b[i]))));
    }
    return result;
}

// Small numbers whose sums are exact in every type.
template <class T>
std::vector<T> eighths(std::size_t count, std::mt19937& random) {
    std::uniform_int_distribution<int> number(-12, 12);
    std::vector<T> values(count);
    for (T& value : values) {
        value = static_cast<T>(static_cast<float>(number(random)) / 8.0F);
    }
    return values;
}

// The sum over positions, for each column of each head.
template <class T>
std::vector<double> column_sums(const std::vector<T>& values, std::size_t columns) {
    std::vector<double> sums(columns, 0.0);
    for (std::size_t i = 0; i < values.size(); ++i) {
        sums[i % columns] += static_cast<double>(static_cast<float>(values[i]));
    }
    return sums;
}

template <class T>
double largest(const std::vector<T>& values) {
    double result = 0.0;
    for (const T& value : values) {
        result = std::fmax(result, std::fabs(static_cast<double>(static_cast<float>(value))));
    }
    return result;
}

// Rows [first, first + count), each of `row` elements.
template <class T>
std::vector<T> part(const std::vector<T>& values, std::size_t row, std::size_t first, std::size_t count) {
    const auto begin = values.begin() + static_cast<std::ptrdiff_t>(row * first);
    return {begin, begin + static_cast<std::ptrdiff_t>(row * count)};
}

} // namespace

TEST_CASE_TEMPLATE("masks that mean the same give gradients of the same bits", T, bfloat16, float) {
    std::mt19937 random(31);
    const problem<T> input({1, 70, 70, 2, 1, 64}, random);
    const auto check = [&](const any_mask& a, const any_mask& b) {
        check_same_gradients(solved(input, a), solved(input, b), 0.0);
    };
    check(block{1}, causal{});
    check(block{70}, bidirectional{});
    check(causal{} && sliding_window{20, 20}, sliding_window{20, 0});
    check(prefix{3} || sliding_window{1, 70}, bidirectional{});
}

TEST_CASE_TEMPLATE("gradients are linear in that of the output", T, bfloat16, float) {
    std::mt19937 random(32);
    const any_mask mask(block{24});
    problem<T> input({1, 50, 80, 2, 1, 64}, random);
    const auto gradients_for = [&](const std::vector<T>& d_output) {
        input.d_output = d_output;
        return solved<key_value_sink>(input, mask);
    };
    const std::vector<T> one = eighths<T>(input.d_output.size(), random);
    const std::vector<T> other = eighths<T>(input.d_output.size(), random);
    const problem<T> first = gradients_for(one);
    const problem<T> second = gradients_for(other);
    const auto sum = [](float a, float b) { return a + b; };
    const problem<T> both = gradients_for(made_of(one, other, sum));
    CHECK(difference(both.d_query, made_of(first.d_query, second.d_query, sum)) <= nearly<T>);
    CHECK(difference(both.d_key, made_of(first.d_key, second.d_key, sum)) <= nearly<T>);
    CHECK(difference(both.d_value, made_of(first.d_value, second.d_value, sum)) <= nearly<T>);
    CHECK(difference(both.d_values, made_of(first.d_values, second.d_values, sum)) <= 16.0);

    const auto half = [](float a, float /*b*/) { return 0.5F * a; }; // which rounds nothing
    const problem<T> halved = gradients_for(made_of(one, one, half));
    CHECK(same_bits(halved.d_query, made_of(first.d_query, first.d_query, half)));
    CHECK(same_bits(halved.d_key, made_of(first.d_key, first.d_key, half)));
    CHECK(same_bits(halved.d_value, made_of(first.d_value, first.d_value, half)));
    CHECK(same_bits(halved.d_keys, made_of(first.d_keys, first.d_keys, half)));
}

// The gradients of a row's scores add up to 0, its probabilities to 1.
TEST_CASE_TEMPLATE("sums over keys: nothing for keys, that of the outputs for values", T, bfloat16, float) {
    std::mt19937 random(33);
    constexpr index_t keys = 90;
    const problem<T> p = solved(problem<T>({1, 70, keys, 2, 2, 64}, random), bidirectional{});
    const double rounding = keys * unit_of<T>; // every key by half a unit, and so its factors
    for (const double sum : column_sums(p.d_key, 2 * 64)) {
        CHECK(std::fabs(sum) <= rounding * largest(p.d_key));
    }
    const std::vector<double> of_values = column_sums(p.d_value, 2 * 64);
    const std::vector<double> of_outputs = column_sums(p.d_output, 2 * 64);
    for (std::size_t i = 0; i < of_values.size(); ++i) {
        CHECK(std::fabs(of_values[i] - of_outputs[i]) <= rounding * largest(p.d_value));
    }
}

TEST_CASE_TEMPLATE("what is added to every key changes no gradient", T, bfloat16, float) {
    std::mt19937 random(34);
    problem<T> input({1, 70, 90, 2, 1, 64}, random);
    input.query = eighths<T>(input.query.size(), random);
    input.key = eighths<T>(input.key.size(), random);
    problem<T> moved = input;
    for (std::size_t i = 0; i < moved.key.size(); ++i) {
        moved.key[i] = static_cast<T>(static_cast<float>(moved.key[i]) + (i % 64 % 3 == 0 ? 0.25F : -0.125F));
    }
    for (const any_mask& mask : {any_mask(bidirectional{}), any_mask(block{16})}) {
        check_same_gradients(solved(input, mask), solved(moved, mask), nearly<T>);
    }
}

TEST_CASE_TEMPLATE("keys that all rows see may come in any order", T, bfloat16, float) {
    std::mt19937 random(35);
    constexpr std::size_t keys = 100;
    const problem<T> input({1, 40, keys, 2, 1, 64}, random);
    std::vector<std::size_t> order(keys);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::shuffle(order.begin(), order.end(), random);
    const auto ordered = [&](const std::vector<T>& rows) {
        std::vector<T> result;
        for (const std::size_t from : order) {
            const std::vector<T> row = part(rows, 64, from, 1);
            result.insert(result.end(), row.begin(), row.end());
        }
        return result;
    };
    problem<T> mixed = input;
    mixed.key = ordered(input.key);
    mixed.value = ordered(input.value);
    problem<T> straight = solved(input, bidirectional{});
    straight.d_key = ordered(straight.d_key);
    straight.d_value = ordered(straight.d_value);
    check_same_gradients(straight, solved(mixed, bidirectional{}), nearly<T>);
}

TEST_CASE_TEMPLATE("the sequences of a batch, ragged or not, have the gradients that they have alone", T, bfloat16,
                   float) {
    std::mt19937 random(36);
    const problem<T> input({3, 50, 80, 2, 1, 32}, random);
    const std::vector<index_t> queries{50, 1, 33};
    const std::vector<index_t> keys{80, 65, 7};
    for (const bool ragged : {false, true}) {
        attention_options options;
        if (ragged) {
            options.query_lengths = queries;
            options.key_lengths = keys;
        }
        const problem<T> whole = solved<key_value_sink>(input, causal{}, options);
        std::vector<float> d_keys(whole.d_keys.size(), 0.0F);
        for (std::size_t b = 0; b < 3; ++b) {
            problem<T> one({1, 50, 80, 2, 1, 32}, random);
            one.query = part(input.query, 50 * 2 * 32, b, 1);
            one.d_output = part(input.d_output, 50 * 2 * 32, b, 1);
            one.key = part(input.key, 80 * 32, b, 1);
            one.value = part(input.value, 80 * 32, b, 1);
            one.sink_keys = input.sink_keys;
            one.sink_values = input.sink_values;
            attention_options own = options;
            own.query_lengths = ragged ? std::span(queries).subspan(b, 1) : std::span<const index_t>{};
            own.key_lengths = ragged ? std::span(keys).subspan(b, 1) : std::span<const index_t>{};
            const problem<T> alone = solved<key_value_sink>(one, causal{}, own);
            CHECK(same_bits(alone.d_query, part(whole.d_query, 50 * 2 * 32, b, 1)));
            CHECK(same_bits(alone.d_key, part(whole.d_key, 80 * 32, b, 1)));
            CHECK(same_bits(alone.d_value, part(whole.d_value, 80 * 32, b, 1)));
            d_keys = made_of(d_keys, alone.d_keys, [](float a, float more) { return a + more; });
        }
        CHECK(difference(whole.d_keys, d_keys) <= 16.0); // that of a batch is the sum
    }
}

TEST_CASE_TEMPLATE("keys that heads share get the sum of what each head gives them", T, bfloat16, float) {
    std::mt19937 random(37);
    constexpr std::size_t keys = 100;
    const problem<T> grouped({1, 90, keys, 4, 2, 32}, random);
    problem<T> repeated({1, 90, keys, 4, 4, 32}, random);
    repeated.query = grouped.query;
    repeated.d_output = grouped.d_output;
    for (std::size_t i = 0; i < repeated.key.size(); ++i) {
        const std::size_t from = i / 128 * 64 + i % 128 / 64 * 32 + i % 32;
        repeated.key[i] = grouped.key[from];
        repeated.value[i] = grouped.value[from];
    }
    const problem<T> one = solved(grouped, causal{});
    const problem<T> other = solved(repeated, causal{});
    const auto summed = [&](const std::vector<T>& each) {
        std::vector<T> sums(keys * 64);
        for (std::size_t i = 0; i < sums.size(); ++i) {
            const std::size_t first = i / 64 * 128 + i % 64 / 32 * 64 + i % 32;
            sums[i] = static_cast<T>(static_cast<float>(each[first]) + static_cast<float>(each[first + 32]));
        }
        return sums;
    };
    CHECK(difference(one.d_query, other.d_query) <= nearly<T>);
    CHECK(difference(one.d_key, summed(other.d_key)) <= nearly<T>);
    CHECK(difference(one.d_value, summed(other.d_value)) <= nearly<T>);
}

TEST_CASE_TEMPLATE("a sink's key and value get the gradients of a token that every row sees", T, bfloat16, float) {
    std::mt19937 random(38);
    constexpr std::size_t content = 70;
    constexpr std::size_t row = 2 * 64;
    problem<T> folded({1, content, content, 2, 2, 64}, random);
    problem<T> token({1, content + 1, content + 1, 2, 2, 64}, random);
    for (auto* each : {&folded.sink_keys, &folded.sink_values}) {
        *each = converted<float>(converted<T>(*each));
    }
    const auto insert = [](std::vector<T>& into, const std::vector<T>& sink, const std::vector<T>& rest) {
        std::copy(rest.begin(), rest.end(), std::copy(sink.begin(), sink.end(), into.begin()));
    };
    insert(token.query, std::vector<T>(row), folded.query);
    insert(token.d_output, std::vector<T>(row), folded.d_output); // no loss on the sink's own output
    insert(token.key, converted<T>(folded.sink_keys), folded.key);
    insert(token.value, converted<T>(folded.sink_values), folded.value);
    const problem<T> one = solved<key_value_sink>(folded, bidirectional{});
    const problem<T> other = solved(token, extra_sink{bidirectional{}});
    CHECK(difference(one.d_query, part(other.d_query, row, 1, content)) <= nearly<T>);
    CHECK(difference(one.d_key, part(other.d_key, row, 1, content)) <= nearly<T>);
    CHECK(difference(one.d_value, part(other.d_value, row, 1, content)) <= nearly<T>);
    CHECK(difference(converted<T>(one.d_keys), part(other.d_key, row, 0, 1)) <= nearly<T>);
    CHECK(difference(converted<T>(one.d_values), part(other.d_value, row, 0, 1)) <= nearly<T>);
}
