// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <mutex>
#include <span>
#include <vector>

#include <unmask/parallel/sharding.hpp>
#include <unmask/parallel/thread_communicator.hpp>

#include "../attention/problem.hpp"
#include "rank_calls.hpp"

// Attention problems whose positions are spread over ranks, each a thread.

namespace test {

// Calls visit(first, whole, count) for each range of a rank: where it begins in the rank's tensors, and in the whole.
template <class Visit>
void for_each_range(std::span<const range> held, const Visit& visit) {
    index_t at = 0;
    for (const range& each : held) {
        visit(at, each.begin, each.end - each.begin);
        at += each.end - each.begin;
    }
}

// The positions of a rank of [rows, length, …].
template <class T>
std::vector<T> taken(const std::vector<T>& whole, index_t rows, index_t length, std::span<const range> held) {
    std::vector<T> result;
    const index_t each = length == 0 ? 0 : std::ssize(whole) / (rows * length);
    for (index_t row = 0; row < rows; ++row) {
        for_each_range(held, [&](index_t, index_t begin, index_t count) {
            const auto first = whole.begin() + (row * length + begin) * each;
            result.insert(result.end(), first, first + count * each);
        });
    }
    return result;
}
// The way back.
template <class T>
void put(const std::vector<T>& part, std::vector<T>& whole, index_t rows, index_t length, std::span<const range> held) {
    const index_t each = length == 0 ? 0 : std::ssize(whole) / (rows * length);
    auto from = part.begin();
    for (index_t row = 0; row < rows; ++row) {
        for_each_range(held, [&](index_t, index_t begin, index_t count) {
            std::copy_n(from, count * each, whole.begin() + (row * length + begin) * each);
            from += count * each;
        });
    }
}

// How many of a sequence's first `lengths` positions a rank holds; they come first in its tensors.
inline std::vector<index_t> lengths_of_rank(std::span<const index_t> lengths, std::span<const range> held) {
    std::vector<index_t> result;
    for (const index_t length : lengths) {
        index_t count = 0;
        for (const range& each : held) {
            count += std::clamp<index_t>(length - each.begin, 0, each.end - each.begin);
        }
        result.push_back(count);
    }
    return result;
}

// The tensors of a rank.
template <class T>
problem<T> part_of(const problem<T>& whole, std::span<const range> queries, std::span<const range> keys) {
    problem<T> part(whole);
    const shape& size = whole.size;
    part.query = taken(whole.query, size.batch, size.query_length, queries);
    part.d_output = taken(whole.d_output, size.batch, size.query_length, queries);
    part.key = taken(whole.key, size.batch, size.key_length, keys);
    part.value = taken(whole.value, size.batch, size.key_length, keys);
    part.size.query_length = part.size.key_length = 0;
    for (const range& each : queries) {
        part.size.query_length += each.end - each.begin;
    }
    for (const range& each : keys) {
        part.size.key_length += each.end - each.begin;
    }
    part = part.fresh();
    for (std::vector<T>* each : {&part.query, &part.key, &part.value, &part.output, &part.d_output, &part.d_query,
                                 &part.d_key, &part.d_value}) {
        each->shrink_to_fit(); // without elements, there is no memory: data() is null
    }
    part.log_sum_exp.shrink_to_fit();
    part.received.shrink_to_fit();
    return part;
}

// Puts a rank's results into those of all.
template <class T>
void put_results(const problem<T>& part, problem<T>& whole, std::span<const range> queries,
                 std::span<const range> keys) {
    const shape& size = whole.size;
    put(part.output, whole.output, size.batch, size.query_length, queries);
    put(part.d_query, whole.d_query, size.batch, size.query_length, queries);
    put(part.log_sum_exp, whole.log_sum_exp, size.batch * size.heads, size.query_length, queries);
    put(part.d_key, whole.d_key, size.batch, size.key_length, keys);
    put(part.d_value, whole.d_value, size.batch, size.key_length, keys);
    put(part.received, whole.received, size.batch * size.heads, size.key_length, keys);
    const auto same_on_all = [&](std::vector<float>& all, const std::vector<float>& one) {
        if (!all.empty() && !std::isnan(all[0]) && !same_bits(all, one)) {
            throw std::logic_error("ranks have other gradients of the sink");
        }
        all = one;
    };
    same_on_all(whole.d_logits, part.d_logits);
    same_on_all(whole.d_keys, part.d_keys);
    same_on_all(whole.d_values, part.d_values);
}

// Forward, backward and received over ranks: the whole problem with the results of all. Throws as run_ranks does.
template <class Sink, class T>
problem<T> run_on_ranks(const problem<T>& input, const any_mask& mask, const sharding& queries, const sharding& keys,
                        const attention_options& options, watched_communicator::watch& watch) {
    problem<T> result = input.fresh();
    std::mutex one_at_a_time;
    run_ranks(queries.ranks(), [&](const thread_communicator& threads) {
        const watched_communicator c(threads, watch);
        const auto my_queries = queries.of(c.rank());
        const auto my_keys = keys.of(c.rank());
        problem<T> part = part_of(input, my_queries, my_keys);
        const std::vector<index_t> query_lengths = lengths_of_rank(options.query_lengths, my_queries);
        const std::vector<index_t> key_lengths = lengths_of_rank(options.key_lengths, my_keys);
        attention_options mine = options;
        mine.query_lengths = query_lengths;
        mine.key_lengths = key_lengths;
        const Sink sink = part.template sink<Sink>();
        using calls = rank_calls<T, Sink>;
        calls::forward(c, queries, keys, part.tensors(), mask, sink, mine);
        calls::backward(c, queries, keys, part.tensors(), part.gradients(sink), mask, sink, mine);
        calls::received(c, queries, keys, part.tensors(), part.received_view(), mask, sink, mine);

        const std::lock_guard lock(one_at_a_time);
        put_results(part, result, my_queries, my_keys);
    });
    return result;
}

// The largest distance between two tensors, against their largest number; NaN equals NaN, and ∞ itself.
template <class T>
double distance(const std::vector<T>& a, const std::vector<T>& b) {
    if (a.size() != b.size()) {
        return std::numeric_limits<double>::infinity();
    }
    double size = 1.0;
    double largest = 0.0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        const auto x = static_cast<double>(static_cast<float>(a[i]));
        const auto y = static_cast<double>(static_cast<float>(b[i]));
        if (x != y && !(std::isnan(x) && std::isnan(y))) {
            const double apart = std::fabs(x - y);
            largest = std::isnan(apart) ? std::numeric_limits<double>::infinity() : std::max(largest, apart);
        }
        size = std::isfinite(y) ? std::max(size, std::fabs(y)) : size;
    }
    return largest / size;
}

// The largest distance of all results.
template <class T>
double distance(const problem<T>& a, const problem<T>& b) {
    return std::max({distance(a.output, b.output), distance(a.log_sum_exp, b.log_sum_exp),
                     distance(a.d_query, b.d_query), distance(a.d_key, b.d_key), distance(a.d_value, b.d_value),
                     distance(a.received, b.received), distance(a.d_logits, b.d_logits), distance(a.d_keys, b.d_keys),
                     distance(a.d_values, b.d_values)});
}

template <class T>
bool same_results(const problem<T>& a, const problem<T>& b) {
    return same_bits(a.output, b.output) && same_bits(a.log_sum_exp, b.log_sum_exp) &&
           same_bits(a.d_query, b.d_query) && same_bits(a.d_key, b.d_key) && same_bits(a.d_value, b.d_value) &&
           same_bits(a.received, b.received) && same_bits(a.d_logits, b.d_logits) && same_bits(a.d_keys, b.d_keys) &&
           same_bits(a.d_values, b.d_values);
}

} // namespace test
