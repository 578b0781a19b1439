// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// The gradients of the reference, which all others are compared with, against finite differences of its outputs.

#include <cmath>
#include <cstddef>
#include <vector>

#include <doctest/doctest.h>

#include "calls.hpp"
#include "problem.hpp"

using namespace test;

namespace {

template <class Sink>
double loss(problem<double>& p, const any_mask& mask, const attention_options& options) {
    reference_calls<double, double, any_mask, Sink>::forward(p.tensors(), mask, p.sink<Sink>(), options);
    double sum = 0.0;
    for (std::size_t i = 0; i < p.output.size(); ++i) {
        sum += p.output[i] * p.d_output[i];
    }
    return sum;
}

// Moves each element of `values`, a member of p. (What sinks learn are floats: the distance is what that came to.)
template <class Sink, class Real>
void check_gradient(problem<double>& p, std::vector<Real>& values, const std::vector<double>& gradient,
                    const any_mask& mask, const attention_options& options) {
    constexpr auto step = static_cast<Real>(1.0 / 4096.0);
    for (std::size_t i = 0; i < values.size(); ++i) {
        const Real here = values[i];
        const auto at = [&](Real there) {
            values[i] = there;
            return loss<Sink>(p, mask, options);
        };
        const Real below = here - step;
        const Real above = here + step;
        const double slope = (at(above) - at(below)) / (static_cast<double>(above) - static_cast<double>(below));
        values[i] = here;
        CHECK(std::fabs(slope - gradient[i]) < 2e-6 * (1.0 + std::fabs(gradient[i])));
    }
}

template <class Sink>
void check_gradients(const any_mask& mask, const attention_options& options) {
    std::mt19937 random(21);
    problem<double> p({1, 4, 6, 4, 2, 3}, random);
    loss<Sink>(p, mask, options);
    const auto sink = p.sink<Sink>();
    reference_calls<double, double, any_mask, Sink>::backward(p.tensors(), p.gradients(sink), mask, sink, options);
    const problem<double> of = p;
    check_gradient<Sink>(p, p.query, of.d_query, mask, options);
    check_gradient<Sink>(p, p.key, of.d_key, mask, options);
    check_gradient<Sink>(p, p.value, of.d_value, mask, options);
    if constexpr (Sink::present && !Sink::has_key && requires { sink.logits; }) {
        check_gradient<Sink>(p, p.sink_logits, of.d_logits, mask, options);
    }
    if constexpr (Sink::has_key) {
        check_gradient<Sink>(p, p.sink_keys, of.d_keys, mask, options);
    }
    if constexpr (Sink::has_value) {
        check_gradient<Sink>(p, p.sink_values, of.d_values, mask, options);
    }
}

} // namespace

TEST_CASE_TEMPLATE("the reference's gradients are the slopes of its outputs", Sink, no_sink, off_by_one_sink,
                   logit_sink, key_sink, key_value_sink) {
    for (const any_mask& mask : {any_mask(bidirectional{}), any_mask(causal{}), any_mask(!causal{})}) {
        check_gradients<Sink>(mask, {});
        check_gradients<Sink>(mask, {.scale = -0.7F, .query_offset = 1, .soft_cap = 1.5F});
    }
}
