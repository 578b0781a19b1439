// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "calls.hpp"
#include "error_bounds.hpp"
#include "problem.hpp"

// The comparison that every kernel has to pass.

namespace test {

// The largest distance of a result from the truth, in units of what rounding may do. Infinite if NaN or infinities
// differ.
template <class T>
double excess(const std::vector<T>& result, const std::vector<double>& truth, const std::vector<double>& bounds) {
    double worst = 0.0;
    for (std::size_t i = 0; i < truth.size(); ++i) {
        const auto got = static_cast<double>(static_cast<float>(result[i]));
        if (std::isnan(truth[i]) || std::isnan(got)) {
            worst = std::isnan(truth[i]) && std::isnan(got) ? worst : std::numeric_limits<double>::infinity();
        } else if (got != truth[i]) { // infinities are equal, too
            worst = std::fmax(worst, std::fabs(got - truth[i]) / bounds[i]);
        }
    }
    return worst;
}

// How the worst of a problem's results compares with what is allowed: at most 1.
struct verdict {
    double forward = 0.0;
    double backward = 0.0;
    double received = 0.0;

    [[nodiscard]] bool passed() const { return forward <= 1.0 && backward <= 1.0 && received <= 1.0; }
};

// What a kernel made of a problem, judged by the reference. `rounds_factors`: as error_bounds says.
template <class T, class Mask, class Sink>
verdict judge(const problem<T>& fast, const Mask& mask, const Sink& sink, const attention_options& options,
              bool rounds_factors = false) {
    problem<double> truth(fast);
    using calls = reference_calls<double, double, Mask, Sink>;
    calls::forward(truth.tensors(), mask, sink, options);
    calls::received(truth.tensors(), truth.received_view(), mask, sink, options);
    calls::backward(truth.tensors(), truth.gradients(sink), mask, sink, options);
    const error_bounds bounds(truth, T{}, mask, sink, options, rounds_factors);
    verdict result;
    result.forward = std::max(excess(fast.output, truth.output, bounds.output),
                              excess(fast.log_sum_exp, truth.log_sum_exp, bounds.log_sum_exp));
    result.received = excess(fast.received, truth.received, bounds.received);
    result.backward =
        std::max({excess(fast.d_query, truth.d_query, bounds.d_query), excess(fast.d_key, truth.d_key, bounds.d_key),
                  excess(fast.d_value, truth.d_value, bounds.d_value)});
    if (Sink::present && !Sink::has_key) {
        result.backward = std::max(result.backward, excess(fast.d_logits, truth.d_logits, bounds.d_logits));
    }
    if (Sink::has_key) {
        result.backward = std::max(result.backward, excess(fast.d_keys, truth.d_keys, bounds.d_keys));
    }
    if (Sink::has_value) {
        result.backward = std::max(result.backward, excess(fast.d_values, truth.d_values, bounds.d_values));
    }
    return result;
}

// Forward, backward and received attention of the CPU on one problem, judged.
template <class Sink, class T, class Mask>
verdict compare(problem<T>& fast, const Mask& mask, const attention_options& options,
                const cpu_executor& exec = cpu_executor{1}) {
    run_on_cpu<Sink>(fast, mask, options, exec);
    return judge(fast, mask, fast.template sink<Sink>(), options);
}

} // namespace test
