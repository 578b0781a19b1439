// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <doctest/doctest.h>

#include "hidden.hpp"
#include "on_cpu.hpp"

using namespace test;

TEST_CASE("a row's bits are the same whatever a hidden key holds, and a key's gradients whatever a blind query holds") {
    check_every_mask_hides<on_cpu, no_sink, float>(41);
    check_every_mask_hides<on_cpu, no_sink, bfloat16>(42);
    check_every_mask_hides<on_cpu, no_sink, float16>(43);
    check_every_mask_hides<on_cpu, key_value_sink, float>(44);
    check_every_mask_hides<on_cpu, key_value_sink, bfloat16>(45);
}

TEST_CASE("a row that sees NaN says so, in everything that depends on it") {
    check_nan_is_told<on_cpu, float>(47);
    check_nan_is_told<on_cpu, bfloat16>(48);
    check_nan_is_told<on_cpu, float16>(49);
}

TEST_CASE("the reference does not read what is hidden") {
    problem<double> p = [] {
        std::mt19937 random(46);
        return problem<double>({1, 2, 3, 1, 1, 4}, random);
    }();
    std::fill_n(p.key.begin() + 8, 4, std::numeric_limits<double>::quiet_NaN());
    std::fill_n(p.value.begin() + 8, 4, std::numeric_limits<double>::quiet_NaN());
    using calls = reference_calls<double, double, any_mask, no_sink>;
    calls::forward(p.tensors(), causal{}, no_sink{}, {});
    calls::backward(p.tensors(), p.gradients(no_sink{}), causal{}, no_sink{}, {});
    calls::received(p.tensors(), p.received_view(), causal{}, no_sink{}, {});
    for (const auto* values : {&p.output, &p.log_sum_exp, &p.d_query, &p.d_key, &p.d_value, &p.received}) {
        for (const double each : *values) {
            CHECK(std::isfinite(each));
        }
    }
}
