// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <unmask/attention/tensors.hpp>
#include <unmask/tensor/tensor_view.hpp>

#include "shape.hpp"

namespace bench {

/// Numbers of mean 0 and variance 1 that look random: a hash of seed and place, which is fast and the same everywhere.
template <class T>
std::vector<T> numbers(index_t count, std::uint32_t seed) {
    std::vector<T> result(static_cast<std::size_t>(count));
    std::uint32_t place = seed << 28;
    for (T& each : result) {
        std::uint32_t hash = place++;
        hash = (hash ^ (hash >> 16)) * 0x7feb352dU;
        hash = (hash ^ (hash >> 15)) * 0x846ca68bU;
        hash ^= hash >> 16;
        each = T(static_cast<float>(static_cast<std::int32_t>(hash)) * (1.7320508F / 2147483648.0F));
    }
    return result;
}

/// The tensors of one call, with the inputs filled in. Gradients are there only if asked for.
template <class T>
struct buffers {
    shape sizes;
    std::vector<T> query, key, value, output;
    std::vector<float> log_sum_exp, received;
    std::vector<T> d_output, d_query, d_key, d_value;

    buffers(const shape& shape, bool with_gradients)
        : sizes(shape), query(numbers<T>(query_size(), 1)), key(numbers<T>(key_size(), 2)),
          value(numbers<T>(key_size(), 3)), output(query.size()),
          log_sum_exp(static_cast<std::size_t>(shape.heads * shape.queries)),
          received(static_cast<std::size_t>(shape.heads * shape.length)) {
        if (with_gradients) {
            d_output = numbers<T>(query_size(), 4);
            d_query.resize(query.size());
            d_key.resize(key.size());
            d_value.resize(value.size());
        }
    }

    unmask::attention_tensors<T> tensors() {
        return {.query = query_view(std::as_const(query)),
                .key = key_view(std::as_const(key)),
                .value = key_view(std::as_const(value)),
                .output = query_view(output),
                .log_sum_exp = unmask::view(log_sum_exp.data(), 1, sizes.heads, sizes.queries)};
    }
    unmask::attention_gradients<T> gradients() {
        return {.output = query_view(std::as_const(d_output)),
                .query = query_view(d_query),
                .key = key_view(d_key),
                .value = key_view(d_value)};
    }
    unmask::tensor_view<float, 3> received_view() {
        return unmask::view(received.data(), 1, sizes.heads, sizes.length);
    }

private:
    index_t query_size() const { return sizes.queries * sizes.heads * sizes.head_dim; }
    index_t key_size() const { return sizes.length * sizes.kv_heads * sizes.head_dim; }
    auto query_view(auto& values) const {
        return unmask::view(values.data(), 1, sizes.queries, sizes.heads, sizes.head_dim);
    }
    auto key_view(auto& values) const {
        return unmask::view(values.data(), 1, sizes.length, sizes.kv_heads, sizes.head_dim);
    }
};

} // namespace bench
