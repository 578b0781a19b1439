// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// The backward kernels on tensor cores, by themselves: Δ and the sink's part are computed here.

#include <random>

#include "../../attention/hidden.hpp"
#include "../../attention/matrix.hpp"
#include "backward_tensor_cores.hpp"
#include "on_device.hpp"

namespace {

using namespace test;

// The output and log-sum-exp of a problem with a sink, from the reference.
template <class Sink, class T>
void solve(problem<T>& input, const any_mask& mask, const attention_options& options) {
    problem<double> truth(input);
    reference_calls<double, double, any_mask, Sink>::forward(truth.tensors(), mask, input.template sink<Sink>(),
                                                             options);
    input.output = converted<T>(truth.output);
    for (std::size_t i = 0; i < input.log_sum_exp.size(); ++i) {
        input.log_sum_exp[i] = static_cast<float>(truth.log_sum_exp[i]);
    }
}

// For the tests that all processors share: see on_cpu.hpp.
struct backward_on_device {
    using ranges = device_array<range>;
    static constexpr bool has_backward = true;
    static constexpr std::size_t hostile_values = 2;

    template <class Sink, class T>
    static void run(problem<T>& input, const any_mask& mask, const attention_options& options) {
        run_on_device<no_sink>(input, mask, options);
        run_backward_on_tensor_cores(input, mask, options, false);
    }

    template <class Sink, class T>
    static verdict compare(problem<T>& input, const any_mask& mask, const any_mask& mask_of_kernels,
                           const attention_options& options) {
        if constexpr (Sink::present || std::same_as<T, float16>) {
            solve<Sink>(input, mask, options);
            run_backward_on_tensor_cores(input, mask_of_kernels, options, Sink::present);
        } else {
            run<Sink>(input, mask_of_kernels, options);
        }
        verdict result = judge(input, mask, input.template sink<no_sink>(), options, true, true);
        if constexpr (Sink::present) {
            result = {};
            result.backward = gradients_of(input, mask, options);
        } else if constexpr (std::same_as<T, float16>) {
            result.received = 0.0;
        }
        return result;
    }

private:
    // With a sink that has a key, the reference's gradients of the three tensors.
    template <class T>
    static double gradients_of(const problem<T>& fast, const any_mask& mask, const attention_options& options) {
        problem<double> truth(fast);
        const auto sink = fast.template sink<key_sink>();
        using calls = reference_calls<double, double, any_mask, key_sink>;
        calls::forward(truth.tensors(), mask, sink, options);
        calls::backward(truth.tensors(), truth.gradients(sink), mask, sink, options);
        const error_bounds bounds(truth, T{}, mask, sink, options, true);
        return std::max({excess(fast.d_query, truth.d_query, bounds.d_query),
                         excess(fast.d_key, truth.d_key, bounds.d_key),
                         excess(fast.d_value, truth.d_value, bounds.d_value)});
    }
};

// Random problems of one head dimension or another that tensor cores take.
template <class Sink, class T>
void check_shapes(unsigned seed, int cases, index_t largest_head_dim) {
    std::mt19937 random(seed);
    const auto pick = [&](index_t low, index_t high) {
        return std::uniform_int_distribution<index_t>(low, high)(random);
    };
    for (int i = 0; i < cases; ++i) {
        CAPTURE(i);
        shape size{pick(1, 2), pick(1, 150), pick(1, 150), 1, pick(1, 2), 8 * pick(1, largest_head_dim / 8)};
        size.heads = size.kv_heads * pick(1, 3);
        problem<T> input(size, random);
        attention_options options;
        options.query_offset = pick(0, 2) == 0 ? pick(1, 90) : 0;
        options.soft_cap = pick(0, 2) == 0 ? static_cast<float>(pick(1, 40)) * 0.25F : 0.0F;
        if (pick(0, 2) == 0) {
            options.scale = static_cast<float>(pick(-8, 8)) * 0.1F;
        }
        std::vector<index_t> query_lengths;
        std::vector<index_t> key_lengths;
        for (index_t b = 0; b < size.batch; ++b) {
            query_lengths.push_back(pick(0, size.query_length));
            key_lengths.push_back(pick(0, size.key_length));
        }
        if (pick(0, 1) == 0) {
            options.query_lengths = query_lengths;
            options.key_lengths = key_lengths;
            spoil_padding(input.query, size.query_length, query_lengths);
            spoil_padding(input.d_output, size.query_length, query_lengths);
            spoil_padding(input.key, size.key_length, key_lengths);
            spoil_padding(input.value, size.key_length, key_lengths);
        }
        for (std::vector<T>* values : {&input.query, &input.key, &input.value, &input.d_output}) {
            if (pick(0, 9) == 0) {
                (*values)[static_cast<std::size_t>(pick(0, static_cast<index_t>(values->size()) - 1))] =
                    static_cast<T>(std::numeric_limits<float>::quiet_NaN());
            }
        }
        const auto mask = static_cast<std::size_t>(pick(0, static_cast<index_t>(number_of_masks()) - 1));
        check_mask<backward_on_device, Sink>(
            input, mask, std::max(size.key_length, size.query_length + options.query_offset), options);
    }
}

} // namespace

TEST_CASE("gradients of every mask on tensor cores, against the reference") {
    check_every_mask<backward_on_device, no_sink, bfloat16>();
}

TEST_CASE("gradients of random shapes on tensor cores, against the reference") {
    check_shapes<no_sink, bfloat16>(61, 60, 256);
    check_shapes<no_sink, float16>(62, 20, 128);
}

TEST_CASE("gradients of queries that a sink has a part in") {
    check_shapes<key_sink, bfloat16>(63, 20, 256);
}

TEST_CASE("gradients have the same bits whatever a hidden key or query holds") {
    check_every_mask_hides<backward_on_device, no_sink, bfloat16>(64);
}

TEST_CASE("gradients that depend on NaN are NaN") {
    check_nan_is_told<backward_on_device, bfloat16>(65);
}
