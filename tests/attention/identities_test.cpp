// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <numeric>

#include <doctest/doctest.h>

#include <unmask/attention/attention_state.hpp>

#include "comparison.hpp"

// What must hold between different calls, whatever the kernel does inside.

using namespace test;

namespace {

template <class T>
double largest_difference(const std::vector<T>& a, const std::vector<T>& b) {
    REQUIRE(a.size() == b.size());
    double largest = 0.0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        const auto x = static_cast<double>(static_cast<float>(a[i]));
        const auto y = static_cast<double>(static_cast<float>(b[i]));
        if (!(x == y)) { // equal infinities are equal
            largest = std::fmax(largest, std::isfinite(x - y) ? std::fabs(x - y) : 1e300);
        }
    }
    return largest;
}

template <class Sink = no_sink, class T>
void run(problem<T>& p, const any_mask& mask, const attention_options& options = {}, int threads = 1) {
    run_on_cpu<Sink>(p, mask, options, cpu_executor{threads});
}

template <class Sink = no_sink>
void forward(problem<float>& p, const any_mask& mask, const attention_options& options = {}) {
    cpu_calls<float, any_mask, Sink>::forward(cpu_executor{1}, p.tensors(), mask, p.sink<Sink>(), options);
}

// Rows [from, from + count) of every sequence of a [batch, length, …] tensor.
template <class T>
std::vector<T> positions(const std::vector<T>& values, index_t batch, index_t length, index_t from, index_t count) {
    const auto row = values.size() / static_cast<std::size_t>(batch * length);
    std::vector<T> result;
    for (index_t b = 0; b < batch; ++b) {
        const auto first = values.begin() + static_cast<std::ptrdiff_t>(row) * (b * length + from);
        result.insert(result.end(), first, first + static_cast<std::ptrdiff_t>(row) * count);
    }
    return result;
}

} // namespace

TEST_CASE("an extra sink token on length T + 1 and a folded one on length T are the same") {
    std::mt19937 random(7);
    for (const index_t position : {0, 31, 100}) {
        CAPTURE(position);
        const index_t length = 100;
        problem<float> folded({2, length, length, 4, 2, 48}, random);
        problem<float> literal({2, length + 1, length + 1, 4, 2, 48}, random);
        const auto insert = [&](std::vector<float>& to, const std::vector<float>& content, index_t heads,
                                const float* sink) { // the same sink row in every sequence, or zeros
            const auto row = static_cast<std::ptrdiff_t>(heads * 48);
            to.clear();
            for (index_t b = 0; b < 2; ++b) {
                const auto first = content.begin() + row * b * length;
                to.insert(to.end(), first, first + row * position);
                for (std::ptrdiff_t i = 0; i < row; ++i) {
                    to.push_back(sink != nullptr ? sink[i] : 0.0F);
                }
                to.insert(to.end(), first + row * position, first + row * length);
            }
        };
        insert(literal.query, folded.query, 4, nullptr);
        insert(literal.d_output, folded.d_output, 4, nullptr); // no loss on the sink's own output
        insert(literal.key, folded.key, 2, folded.sink_keys.data());
        insert(literal.value, folded.value, 2, folded.sink_values.data());

        run<key_value_sink>(folded, bidirectional{});
        run(literal, extra_sink{bidirectional{}, position});

        const auto content = [&](const std::vector<float>& values) {
            std::vector<float> result;
            for (index_t b = 0; b < 2; ++b) {
                const auto row = values.size() / static_cast<std::size_t>(2 * (length + 1));
                const auto first = values.begin() + static_cast<std::ptrdiff_t>(row) * b * (length + 1);
                const auto split = static_cast<std::ptrdiff_t>(row) * position;
                result.insert(result.end(), first, first + split);
                result.insert(result.end(), first + split + static_cast<std::ptrdiff_t>(row),
                              first + static_cast<std::ptrdiff_t>(row) * (length + 1));
            }
            return result;
        };
        CHECK(largest_difference(content(literal.output), folded.output) < 2e-6);
        CHECK(largest_difference(content(literal.d_query), folded.d_query) < 2e-6);
        CHECK(largest_difference(content(literal.d_key), folded.d_key) < 5e-6);
        CHECK(largest_difference(content(literal.d_value), folded.d_value) < 5e-6);

        // What reaches the sink's key and value is the folded sink's gradient, summed over the batch.
        const auto sink_rows = [&](const std::vector<float>& values) {
            std::vector<float> sum(2 * 48, 0.0F);
            for (const index_t b : {0, 1}) {
                for (std::size_t i = 0; i < sum.size(); ++i) {
                    sum[i] += values[static_cast<std::size_t>(b * (length + 1) + position) * sum.size() + i];
                }
            }
            return sum;
        };
        CHECK(largest_difference(sink_rows(literal.d_key), folded.d_keys) < 2e-5);
        CHECK(largest_difference(sink_rows(literal.d_value), folded.d_values) < 2e-5);
        // The sink's own output is its value, to the bit: softmax over one key is 1.
        const auto sink_output = positions(literal.output, 2, length + 1, position, 1);
        for (std::size_t i = 0; i < 48; ++i) {
            CHECK(sink_output[i] == folded.sink_values[i]);
        }
    }
}

TEST_CASE("results do not depend on the number of threads, to the last bit") {
    std::mt19937 random(8);
    for (const index_t length : {1, 130, 257}) {
        problem<float> one({2, length, length, 4, 2, 64}, random);
        problem<float> two(one);
        run<key_value_sink>(one, causal{}, {}, 1);
        run<key_value_sink>(two, causal{}, {}, 2);
        CHECK(same_bits(one.output, two.output));
        CHECK(same_bits(one.log_sum_exp, two.log_sum_exp));
        CHECK(same_bits(one.d_query, two.d_query));
        CHECK(same_bits(one.d_key, two.d_key));
        CHECK(same_bits(one.d_value, two.d_value));
        CHECK(same_bits(one.d_keys, two.d_keys));
        CHECK(same_bits(one.d_values, two.d_values));
        CHECK(same_bits(one.received, two.received));
    }
}

TEST_CASE("block(1) is causal and block(length) is bidirectional") {
    std::mt19937 random(9);
    problem<float> a({1, 150, 150, 2, 2, 40}, random);
    problem<float> b(a);
    run(a, block{1});
    run(b, causal{});
    CHECK(same_bits(a.output, b.output));
    CHECK(same_bits(a.d_query, b.d_query));
    CHECK(same_bits(a.d_key, b.d_key));
    run(a, block{150});
    run(b, bidirectional{});
    CHECK(same_bits(a.output, b.output));
    CHECK(same_bits(a.d_value, b.d_value));
}

TEST_CASE("splitting the keys anywhere and merging is one pass, with the sink in one part") {
    std::mt19937 random(10);
    problem<float> whole({1, 20, 90, 1, 1, 32}, random);
    run<logit_sink>(whole, bidirectional{});
    for (const index_t split : {0, 1, 45, 89, 90}) {
        CAPTURE(split);
        const auto part = [&](index_t from, index_t count, bool with_sink) {
            problem<float> p({1, 20, count, 1, 1, 32}, random);
            p.query = whole.query;
            p.key = positions(whole.key, 1, 90, from, count);
            p.value = positions(whole.value, 1, 90, from, count);
            p.sink_logits = whole.sink_logits;
            if (with_sink) {
                forward<logit_sink>(p, bidirectional{});
            } else {
                forward(p, bidirectional{});
            }
            return p;
        };
        problem<float> first = part(0, split, true);
        problem<float> second = part(split, 90 - split, false);
        for (std::size_t row = 0; row < 20; ++row) {
            const std::span<float> left(first.output.data() + row * 32, 32);
            const std::span<float> right(second.output.data() + row * 32, 32);
            const attention_state merged =
                merge(state_of(left, first.log_sum_exp[row]), state_of(right, second.log_sum_exp[row]));
            merged.finish();
            CHECK(merged.log_sum_exp() == doctest::Approx(whole.log_sum_exp[row]).epsilon(1e-6));
        }
        CHECK(largest_difference(first.output, whole.output) < 1e-6);
    }
}

TEST_CASE("attention_state: the empty state is the identity, and lengths must agree") {
    std::vector<float> values{1.0F, -2.0F};
    std::vector<float> nothing{0.0F, 0.0F};
    const attention_state state = state_of(values, 3.0F);
    const attention_state empty{.output = nothing};
    CHECK(empty.log_sum_exp() == -std::numeric_limits<float>::infinity());
    CHECK(merge(state, empty).log_sum_exp() == 3.0F);
    CHECK(values == std::vector<float>{1.0F, -2.0F});
    CHECK(merge(empty, state).log_sum_exp() == 3.0F);
    CHECK(nothing == std::vector<float>{1.0F, -2.0F});
    std::vector<float> short_one{0.0F};
    CHECK_THROWS_WITH_AS(merge(state, state_of(short_one, 1.0F)), "merge: b.output.size() is 1, expected that of a (2)",
                         invalid_argument);
}

TEST_CASE("grouped heads are repeated heads") {
    std::mt19937 random(11);
    problem<float> grouped({1, 70, 70, 4, 2, 32}, random);
    problem<float> repeated({1, 70, 70, 4, 4, 32}, random);
    repeated.query = grouped.query;
    repeated.d_output = grouped.d_output;
    for (std::size_t row = 0; row < 70; ++row) {
        for (std::size_t head = 0; head < 4; ++head) {
            for (std::size_t d = 0; d < 32; ++d) {
                repeated.key[(row * 4 + head) * 32 + d] = grouped.key[(row * 2 + head / 2) * 32 + d];
                repeated.value[(row * 4 + head) * 32 + d] = grouped.value[(row * 2 + head / 2) * 32 + d];
            }
        }
    }
    run(grouped, causal{});
    run(repeated, causal{});
    CHECK(same_bits(grouped.output, repeated.output));
    CHECK(same_bits(grouped.d_query, repeated.d_query));
    std::vector<float> summed(grouped.d_key.size());
    for (std::size_t i = 0; i < summed.size(); ++i) {
        const std::size_t row = i / 64;
        const std::size_t head = i / 32 % 2;
        const std::size_t d = i % 32;
        summed[i] = repeated.d_key[(row * 4 + 2 * head) * 32 + d] + repeated.d_key[(row * 4 + 2 * head + 1) * 32 + d];
    }
    CHECK(largest_difference(summed, grouped.d_key) < 2e-6);
}

TEST_CASE("the order of fully visible keys does not matter") {
    std::mt19937 random(12);
    problem<float> straight({1, 30, 200, 1, 1, 32}, random);
    problem<float> mixed(straight);
    std::vector<std::size_t> order(200);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::shuffle(order.begin(), order.end(), random);
    for (std::size_t i = 0; i < order.size(); ++i) {
        std::copy_n(straight.key.begin() + static_cast<std::ptrdiff_t>(order[i] * 32), 32,
                    mixed.key.begin() + static_cast<std::ptrdiff_t>(i * 32));
        std::copy_n(straight.value.begin() + static_cast<std::ptrdiff_t>(order[i] * 32), 32,
                    mixed.value.begin() + static_cast<std::ptrdiff_t>(i * 32));
    }
    run(straight, bidirectional{});
    run(mixed, bidirectional{});
    CHECK(largest_difference(straight.output, mixed.output) < 1e-6);
    for (std::size_t i = 0; i < order.size(); ++i) {
        CHECK(mixed.received[i] == doctest::Approx(straight.received[order[i]]).epsilon(1e-4));
    }
}

TEST_CASE("received attention, the sink's share included, is one for every row that sees anything") {
    std::mt19937 random(13);
    problem<float> p({1, 50, 60, 1, 1, 32}, random);
    run(p, bidirectional{});
    CHECK(std::accumulate(p.received.begin(), p.received.end(), 0.0) == doctest::Approx(50.0).epsilon(1e-5));
    run<off_by_one_sink>(p, bidirectional{});
    double sink_share = 0.0;
    for (const float log_sum_exp : p.log_sum_exp) {
        sink_share += std::exp(-static_cast<double>(log_sum_exp));
    }
    CHECK(std::accumulate(p.received.begin(), p.received.end(), sink_share) == doctest::Approx(50.0).epsilon(1e-5));
}

TEST_CASE("rows with nothing visible: zeros and −∞ without a sink, the sink itself with one") {
    std::mt19937 random(14);
    problem<float> p({1, 10, 10, 2, 2, 32}, random);
    const document nothing{nullptr, 0};
    run(p, nothing);
    for (std::size_t i = 0; i < p.output.size(); ++i) {
        CHECK(p.output[i] == 0.0F);
        CHECK(p.d_query[i] == 0.0F);
        CHECK(p.d_key[i] == 0.0F);
        CHECK(p.d_value[i] == 0.0F);
    }
    for (const float each : p.log_sum_exp) {
        CHECK(each == -std::numeric_limits<float>::infinity());
    }
    run<key_value_sink>(p, nothing);
    for (std::size_t i = 0; i < p.output.size(); ++i) {
        CHECK(p.output[i] == p.sink_values[i % 64]);
        CHECK(p.d_query[i] == 0.0F); // the softmax over one entry does not move
    }
    for (const float each : p.sink_logits) { // huge logits join the running maximum
        CHECK(std::isfinite(each));
    }
    p.sink_logits.assign(2, 100.0F);
    run<logit_sink>(p, bidirectional{});
    for (const float each : p.log_sum_exp) {
        CHECK(each == doctest::Approx(100.0).epsilon(1e-6));
    }
    for (const float each : p.output) {
        CHECK(std::fabs(each) < 1e-30F);
    }
}

TEST_CASE("a query offset continues a sequence") {
    std::mt19937 random(15);
    problem<float> whole({1, 100, 100, 2, 1, 32}, random);
    run(whole, causal{});
    for (const index_t offset : {1, 64, 99}) {
        problem<float> tail({1, 100 - offset, 100, 2, 1, 32}, random);
        tail.query = positions(whole.query, 1, 100, offset, 100 - offset);
        tail.key = whole.key;
        tail.value = whole.value;
        forward(tail, causal{}, {.query_offset = offset});
        CHECK(largest_difference(tail.output, positions(whole.output, 1, 100, offset, 100 - offset)) < 1e-6);
    }
}

TEST_CASE("strides: heads before positions, parts of one fused projection, float16 storage") {
    std::mt19937 random(16);
    const index_t length = 70;
    const index_t dim = 32;
    problem<float> dense({1, length, length, 2, 2, dim}, random);
    run(dense, causal{});

    // One buffer of rows {query, key, value}, and the same for the gradients.
    std::vector<float> fused(static_cast<std::size_t>(length * 3 * 2 * dim));
    std::vector<float> d_fused(fused.size());
    const auto part = [&](auto& buffer, index_t which) {
        auto result = view(buffer.data() + which * 2 * dim, index_t{1}, length, index_t{2}, dim);
        result.strides = {length * 6 * dim, 6 * dim, dim, 1};
        return result;
    };
    for (index_t i = 0; i < length; ++i) {
        for (index_t d = 0; d < 2 * dim; ++d) {
            const auto at = static_cast<std::size_t>(i * 2 * dim + d);
            fused[static_cast<std::size_t>(i * 6 * dim + d)] = dense.query[at];
            fused[static_cast<std::size_t>(i * 6 * dim + 2 * dim + d)] = dense.key[at];
            fused[static_cast<std::size_t>(i * 6 * dim + 4 * dim + d)] = dense.value[at];
        }
    }
    attention_tensors<float> tensors = dense.tensors();
    tensors.query = part(fused, 0);
    tensors.key = part(fused, 1);
    tensors.value = part(fused, 2);
    const std::vector<float> expected = dense.output;
    using calls = cpu_calls<float, any_mask, no_sink>;
    calls::forward(cpu_executor{1}, tensors, causal{}, no_sink{}, {});
    CHECK(same_bits(dense.output, expected));
    attention_gradients<float> gradients = dense.gradients(no_sink{});
    gradients.query = part(d_fused, 0);
    gradients.key = part(d_fused, 1);
    gradients.value = part(d_fused, 2);
    calls::backward(cpu_executor{1}, tensors, gradients, causal{}, no_sink{}, {});
    for (index_t i = 0; i < length; ++i) {
        for (index_t d = 0; d < 2 * dim; ++d) {
            const auto at = static_cast<std::size_t>(i * 2 * dim + d);
            CHECK(d_fused[static_cast<std::size_t>(i * 6 * dim + d)] == dense.d_query[at]);
            CHECK(d_fused[static_cast<std::size_t>(i * 6 * dim + 2 * dim + d)] == dense.d_key[at]);
            CHECK(d_fused[static_cast<std::size_t>(i * 6 * dim + 4 * dim + d)] == dense.d_value[at]);
        }
    }

    problem<float16> half(dense);
    CHECK(compare<no_sink>(half, any_mask(causal{}), {}).passed());
}

TEST_CASE("gradients that are not wanted are left out, the others are the same") {
    std::mt19937 random(17);
    problem<float> all({1, 40, 40, 2, 1, 32}, random);
    run<key_sink>(all, causal{});
    problem<float> some(all);
    const auto sink = some.sink<key_sink>();
    forward<key_sink>(some, causal{});
    some.d_query.assign(some.d_query.size(), 7.0F);
    attention_gradients<float> gradients = some.gradients(sink);
    gradients.query = {};
    gradients.key = {};
    gradients.sink_keys = {};
    cpu_calls<float, any_mask, key_sink>::backward(cpu_executor{1}, some.tensors(), gradients, causal{}, sink, {});
    CHECK(same_bits(some.d_value, all.d_value));
    CHECK(some.d_query == std::vector<float>(some.d_query.size(), 7.0F));
}
