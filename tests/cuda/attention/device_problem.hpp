// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <concepts>
#include <vector>

#include <unmask/executor/cuda_executor.cuh>

#include "../../attention/comparison.hpp"
#include "device_calls.hpp"
#include "device_memory.hpp"

namespace test {

// The tensors of a problem, in device memory.
template <class T>
struct device_problem {
    problem<T>& host;
    device_array<T> query, key, value, output;
    device_array<float> log_sum_exp, received, sink_logits, sink_keys, sink_values;
    device_array<T> d_output, d_query, d_key, d_value;
    device_array<float> d_logits, d_keys, d_values;

    explicit device_problem(problem<T>& from)
        : host(from), query(from.query), key(from.key), value(from.value), output(from.output),
          log_sum_exp(from.log_sum_exp), received(from.received), sink_logits(from.sink_logits),
          sink_keys(from.sink_keys), sink_values(from.sink_values), d_output(from.d_output), d_query(from.d_query),
          d_key(from.d_key), d_value(from.d_value), d_logits(from.d_logits), d_keys(from.d_keys),
          d_values(from.d_values) {}

    [[nodiscard]] attention_tensors<T> tensors() const {
        attention_tensors<T> result = host.tensors();
        result.query.data = query.data();
        result.key.data = key.data();
        result.value.data = value.data();
        result.output.data = output.data();
        result.log_sum_exp.data = log_sum_exp.data();
        return result;
    }
    [[nodiscard]] tensor_view<float, 3> received_view() const {
        tensor_view<float, 3> result = host.received_view();
        result.data = received.data();
        return result;
    }
    template <class Sink>
    [[nodiscard]] attention_gradients<T> gradients(const Sink& sink) const {
        attention_gradients<T> result = host.gradients(sink);
        result.output.data = d_output.data();
        result.query.data = d_query.data();
        result.key.data = d_key.data();
        result.value.data = d_value.data();
        const auto place = [](auto& view, const device_array<float>& array) {
            view.data = view.empty() ? nullptr : array.data();
        };
        place(result.sink_logits, d_logits);
        place(result.sink_keys, d_keys);
        place(result.sink_values, d_values);
        return result;
    }
    template <class Sink>
    [[nodiscard]] Sink sink() const {
        Sink result = host.template sink<Sink>();
        if constexpr (requires { result.logits; }) {
            result.logits.data = sink_logits.data();
        }
        if constexpr (requires { result.keys; }) {
            result.keys.data = sink_keys.data();
        }
        if constexpr (requires { result.values; }) {
            result.values.data = sink_values.data();
        }
        return result;
    }

    // Brings the results home.
    void fetch() const {
        host.output = output.to_host();
        host.log_sum_exp = log_sum_exp.to_host();
        host.received = received.to_host();
        host.d_query = d_query.to_host();
        host.d_key = d_key.to_host();
        host.d_value = d_value.to_host();
        host.d_logits = d_logits.to_host();
        host.d_keys = d_keys.to_host();
        host.d_values = d_values.to_host();
    }
};

// Runs forward, backward and received on the device.
template <class Sink, class T, class Mask>
void run_on_device(problem<T>& fast, const Mask& mask, const attention_options& options,
                   const cuda_executor& exec = {}) {
    const device_problem<T> device(fast);
    const auto sink = device.template sink<Sink>();
    device_calls<T, Mask, Sink>::forward(exec, device.tensors(), mask, sink, options);
    device_gradients<T, Mask, Sink>::backward(exec, device.tensors(), device.gradients(sink), mask, sink, options);
    device_calls<T, Mask, Sink>::received(exec, device.tensors(), device.received_view(), mask, sink, options);
    device.fetch();
}

// The same, judged. The mask is given twice: what it points to is in the host's memory, and in the device's.
template <class Sink, class T, class Mask>
verdict compare_on_device(problem<T>& fast, const Mask& mask, const Mask& device_mask, const attention_options& options,
                          const cuda_executor& exec = {}) {
    run_on_device<Sink>(fast, device_mask, options, exec);
    return judge(fast, mask, fast.template sink<Sink>(), options, !std::same_as<T, float>);
}

} // namespace test
