// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cmath>
#include <cstddef>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <unmask/attention/tensors.hpp>
#include <unmask/executor/cpu_executor.hpp>
#include <unmask/sink/key_sink.hpp>
#include <unmask/sink/key_value_sink.hpp>
#include <unmask/sink/logit_sink.hpp>
#include <unmask/sink/no_sink.hpp>
#include <unmask/sink/off_by_one_sink.hpp>

#include "any_mask.hpp"
#include "calls.hpp"

// Random attention problems.

namespace test {

using namespace unmask;

struct shape {
    index_t batch = 1;
    index_t query_length = 1;
    index_t key_length = 1;
    index_t heads = 1;
    index_t kv_heads = 1;
    index_t head_dim = 32;
};

inline std::string to_string(const shape& s) {
    return "batch " + std::to_string(s.batch) + ", " + std::to_string(s.query_length) + " queries, " +
           std::to_string(s.key_length) + " keys, heads " + std::to_string(s.heads) + "/" + std::to_string(s.kv_heads) +
           ", head_dim " + std::to_string(s.head_dim);
}

template <class T>
std::vector<T> random_values(std::size_t count, std::mt19937& random, float size = 1.0F) {
    std::normal_distribution<float> normal(0.0F, size);
    std::vector<T> values(count);
    for (T& value : values) {
        value = static_cast<T>(normal(random));
    }
    return values;
}

template <class To, class From>
std::vector<To> converted(const std::vector<From>& from) {
    std::vector<To> to(from.size());
    for (std::size_t i = 0; i < from.size(); ++i) {
        to[i] = static_cast<To>(static_cast<float>(from[i]));
    }
    return to;
}

// All tensors of a problem with elements T, owned.
template <class T>
struct problem {
    shape size;
    std::vector<T> query, key, value, d_output;
    std::vector<float> sink_logits, sink_keys, sink_values; // what the sinks hold, whatever T is
    std::vector<T> output, d_query, d_key, d_value;
    std::vector<sum_type<T>> log_sum_exp, received, d_logits, d_keys, d_values;

    problem(const shape& s, std::mt19937& random) : size(s) {
        query = random_values<T>(queries() * dim(), random);
        key = random_values<T>(keys() * dim(), random);
        value = random_values<T>(keys() * dim(), random);
        d_output = random_values<T>(queries() * dim(), random);
        sink_logits = random_values<float>(static_cast<std::size_t>(s.heads), random, 2.0F);
        sink_keys = random_values<float>(static_cast<std::size_t>(s.kv_heads) * dim(), random);
        sink_values = random_values<float>(static_cast<std::size_t>(s.kv_heads) * dim(), random);
        allocate();
    }

    // The same problem with other elements.
    template <class Other>
    explicit problem(const problem<Other>& other)
        : size(other.size), query(converted<T>(other.query)), key(converted<T>(other.key)),
          value(converted<T>(other.value)), d_output(converted<T>(other.d_output)), sink_logits(other.sink_logits),
          sink_keys(other.sink_keys), sink_values(other.sink_values) {
        allocate();
    }

    // The same problem, nothing computed yet.
    [[nodiscard]] problem fresh() const {
        problem result(*this);
        result.allocate();
        return result;
    }

    [[nodiscard]] std::size_t dim() const { return static_cast<std::size_t>(size.head_dim); }
    [[nodiscard]] std::size_t queries() const {
        return static_cast<std::size_t>(size.batch * size.query_length * size.heads);
    }
    [[nodiscard]] std::size_t keys() const {
        return static_cast<std::size_t>(size.batch * size.key_length * size.kv_heads);
    }

    attention_tensors<T> tensors() {
        return {query_like(std::as_const(query)), key_like(std::as_const(key)), key_like(std::as_const(value)),
                query_like(output), view(log_sum_exp.data(), size.batch, size.heads, size.query_length)};
    }
    template <class Sink>
    attention_gradients<T> gradients(const Sink& /*sink*/) {
        attention_gradients<T> result{query_like(std::as_const(d_output)), query_like(d_query), key_like(d_key),
                                      key_like(d_value)};
        if constexpr (Sink::present && !Sink::has_key) {
            result.sink_logits = view(d_logits.data(), size.heads);
        }
        if constexpr (Sink::has_key) {
            result.sink_keys = view(d_keys.data(), size.kv_heads, size.head_dim);
        }
        if constexpr (Sink::has_value) {
            result.sink_values = view(d_values.data(), size.kv_heads, size.head_dim);
        }
        return result;
    }
    tensor_view<sum_type<T>, 3> received_view() {
        return view(received.data(), size.batch, size.heads, size.key_length);
    }

    template <class Sink>
    Sink sink() const {
        Sink result{};
        if constexpr (requires { result.logits; }) {
            result.logits = view(sink_logits.data(), size.heads);
        }
        if constexpr (requires { result.keys; }) {
            result.keys = view(sink_keys.data(), size.kv_heads, size.head_dim);
        }
        if constexpr (requires { result.values; }) {
            result.values = view(sink_values.data(), size.kv_heads, size.head_dim);
        }
        return result;
    }

private:
    void allocate() {
        const auto poison = static_cast<T>(std::numeric_limits<float>::quiet_NaN()); // everything must be written
        const auto sum_poison = std::numeric_limits<sum_type<T>>::quiet_NaN();
        output.assign(query.size(), poison);
        d_query.assign(query.size(), poison);
        d_key.assign(key.size(), poison);
        d_value.assign(key.size(), poison);
        log_sum_exp.assign(queries(), sum_poison);
        received.assign(static_cast<std::size_t>(size.batch * size.heads * size.key_length), sum_poison);
        d_logits.assign(sink_logits.size(), sum_poison);
        d_keys.assign(sink_keys.size(), sum_poison);
        d_values.assign(sink_values.size(), sum_poison);
    }
    auto query_like(auto& values) const {
        return view(values.data(), size.batch, size.query_length, size.heads, size.head_dim);
    }
    auto key_like(auto& values) const {
        return view(values.data(), size.batch, size.key_length, size.kv_heads, size.head_dim);
    }
};

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

// Forward, backward and received attention of the CPU on one problem.
template <class Sink = no_sink, class T, class Mask>
void run_on_cpu(problem<T>& fast, const Mask& mask, const attention_options& options = {},
                const cpu_executor& exec = cpu_executor{1}) {
    const auto sink = fast.template sink<Sink>();
    cpu_calls<T, Mask, Sink>::forward(exec, fast.tensors(), mask, sink, options);
    cpu_calls<T, Mask, Sink>::backward(exec, fast.tensors(), fast.gradients(sink), mask, sink, options);
    cpu_calls<T, Mask, Sink>::received(exec, fast.tensors(), fast.received_view(), mask, sink, options);
}

} // namespace test
