// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include <unmask/attention/attention.hpp>

#include "../attention/problem.hpp"
#include "exchange.hpp"

// A problem's tensors and its mask, so that kernels and judge run the same.

template <class T>
std::vector<T> stored(const std::vector<float>& values) {
    std::vector<T> result;
    std::transform(values.begin(), values.end(), std::back_inserter(result), [](float x) { return static_cast<T>(x); });
    return result;
}

template <class T>
std::vector<float> widened(const std::vector<T>& values) {
    std::vector<float> result;
    std::transform(values.begin(), values.end(), std::back_inserter(result), [](T x) { return static_cast<float>(x); });
    return result;
}

// Calls run(tensors, gradients, received, mask, sink, options), which fills in the results.
template <class T, class Sum, class Run>
results run_problem(const problem& p, const Run& run) {
    using namespace unmask;
    const std::vector<T> query = stored<T>(p.query);
    const std::vector<T> key = stored<T>(p.key);
    const std::vector<T> value = stored<T>(p.value);
    const std::vector<T> d_output = stored<T>(p.d_output);
    std::vector<T> output(query.size());
    std::vector<T> d_query(query.size());
    std::vector<T> d_key(key.size());
    std::vector<T> d_value(key.size());
    std::vector<Sum> log_sum_exp(static_cast<std::size_t>(p.batch * p.heads * p.queries));
    std::vector<Sum> received(static_cast<std::size_t>(p.batch * p.heads * p.keys));
    const auto rows = [&](auto& values) { return view(values.data(), p.batch, p.queries, p.heads, p.head_dim); };
    const auto columns = [&](auto& values) { return view(values.data(), p.batch, p.keys, p.kv_heads, p.head_dim); };
    const attention_tensors<T> tensors{rows(query), columns(key), columns(value), rows(output),
                                       view(log_sum_exp.data(), p.batch, p.heads, p.queries)};
    const attention_gradients<T> gradients{rows(d_output), rows(d_query), columns(d_key), columns(d_value)};
    const attention_options options{.query_offset = p.query_offset, .soft_cap = p.soft_cap};
    const auto received_view = view(received.data(), p.batch, p.heads, p.keys);
    const index_t positions = std::max(p.keys, p.queries + p.query_offset);
    const std::vector<range> documents = test::some_documents(positions);
    const test::any_mask mask = test::masks(positions, documents)[p.mask].second;
    if (p.sink) {
        const key_value_sink sink{view(p.sink_keys.data(), p.kv_heads, p.head_dim),
                                  view(p.sink_values.data(), p.kv_heads, p.head_dim)};
        run(tensors, gradients, received_view, mask, sink, options);
    } else {
        run(tensors, gradients, received_view, mask, no_sink{}, options);
    }
    return {widened(output),  widened(log_sum_exp), widened(received),
            widened(d_query), widened(d_key),       widened(d_value)};
}
