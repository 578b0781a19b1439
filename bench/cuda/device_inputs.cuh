// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstdint>
#include <vector>

#include <unmask/attention/tensors.hpp>
#include <unmask/mask/document.hpp>
#include <unmask/sink/key_value_sink.hpp>
#include <unmask/sink/no_sink.hpp>
#include <unmask/tensor/tensor_view.hpp>

#include "../support/shape.hpp"
#include "device_array.cuh"

namespace bench {

/// The tensors of one call on the GPU, with the inputs filled in.
template <class T>
struct device_buffers {
    shape sizes;
    device_array<T> query, key, value, output;
    device_array<float> log_sum_exp, received;
    device_array<T> d_output, d_query, d_key, d_value; // empty unless the call is one of backward

    device_buffers(const shape& shape, std::uint32_t seed, bool backward)
        : sizes(shape), query(normal_numbers<T>(query_size(), 3 * seed)),
          key(normal_numbers<T>(key_size(), 3 * seed + 1)), value(normal_numbers<T>(key_size(), 3 * seed + 2)),
          output(query_size()), log_sum_exp(shape.batch * shape.heads * shape.queries),
          received(shape.batch * shape.heads * shape.length),
          d_output(normal_numbers<T>(backward ? query_size() : 0, 3 * seed + 50)), d_query(backward ? query_size() : 0),
          d_key(backward ? key_size() : 0), d_value(backward ? key_size() : 0) {}

    [[nodiscard]] unmask::attention_tensors<T> tensors() const {
        return {.query = query_view(query),
                .key = key_view(key),
                .value = key_view(value),
                .output = query_view(output),
                .log_sum_exp = unmask::view(log_sum_exp.data(), sizes.batch, sizes.heads, sizes.queries)};
    }
    [[nodiscard]] unmask::attention_gradients<T> gradients() const {
        return {.output = query_view(d_output),
                .query = query_view(d_query),
                .key = key_view(d_key),
                .value = key_view(d_value),
                .sink_logits = {},
                .sink_keys = {},
                .sink_values = {}};
    }
    [[nodiscard]] unmask::tensor_view<float, 3> received_view() const {
        return unmask::view(received.data(), sizes.batch, sizes.heads, sizes.length);
    }

private:
    index_t query_size() const { return sizes.batch * sizes.queries * sizes.heads * sizes.head_dim; }
    index_t key_size() const { return sizes.batch * sizes.length * sizes.kv_heads * sizes.head_dim; }
    auto query_view(const device_array<T>& of) const {
        return unmask::view(of.data(), sizes.batch, sizes.queries, sizes.heads, sizes.head_dim);
    }
    auto key_view(const device_array<T>& of) const {
        return unmask::view(of.data(), sizes.batch, sizes.length, sizes.kv_heads, sizes.head_dim);
    }
};

/// A mask as the GPU can read it.
template <class Mask>
struct device_mask {
    Mask mask;

    explicit device_mask(const Mask& on_host) : mask(on_host) {}
};

template <>
struct device_mask<unmask::document> {
    device_array<unmask::range> documents;
    unmask::document mask;

    explicit device_mask(const unmask::document& on_host)
        : documents(std::vector(on_host.documents, on_host.documents + on_host.length)),
          mask(documents.data(), on_host.length) {}
};

/// A sink and what it learns.
template <class Sink>
struct device_sink;

template <>
struct device_sink<unmask::no_sink> {
    unmask::no_sink sink{};

    explicit device_sink(const shape& /*shape*/) {}
};

template <>
struct device_sink<unmask::key_value_sink> {
    device_array<float> keys, values;
    unmask::key_value_sink sink;

    explicit device_sink(const shape& shape)
        : keys(normal_numbers<float>(shape.kv_heads * shape.head_dim, 98)),
          values(normal_numbers<float>(shape.kv_heads * shape.head_dim, 99)),
          sink{unmask::view(keys.data(), shape.kv_heads, shape.head_dim),
               unmask::view(values.data(), shape.kv_heads, shape.head_dim)} {}
};

} // namespace bench
