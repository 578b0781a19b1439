// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <unmask/error.hpp>

#include "extremes.hpp"
#include "on_cpu.hpp"

using namespace test;

TEST_CASE("the probability of an only key, or of one that dominates, is 1 at any size of score") {
    check_only_key<on_cpu, float>(51);
    check_only_key<on_cpu, bfloat16>(52);
    check_only_key<on_cpu, float16>(53);
}
TEST_CASE("finite scores are finite numbers up to the end of the range") {
    check_end_of_range<on_cpu>();
}
TEST_CASE("scales from 0 to the end of the range") {
    check_scales<on_cpu>();
}
TEST_CASE("a score of −∞ weighs nothing, and a row that has no other saw nothing") {
    check_scores_of_minus_infinity<on_cpu>();
}
TEST_CASE("a sink of −∞ is none") {
    check_sinks_of_minus_infinity<on_cpu, float>();
    check_sinks_of_minus_infinity<on_cpu, bfloat16>();
}
TEST_CASE("soft caps from the smallest to the largest that are taken") {
    check_soft_caps<on_cpu>();
}

TEST_CASE("soft caps that floats can't divide by, and come back from, are refused") {
    problem<float> p = row_of_scores({1.0F});
    using calls = cpu_calls<float, any_mask, no_sink>;
    const auto forward = [&](float cap) {
        calls::forward(cpu_executor{1}, p.tensors(), any_mask(bidirectional{}), no_sink{}, {.soft_cap = cap});
    };
    for (const float cap : {1e-39F, 9e-31F, 1.1e30F, 3e38F}) {
        CHECK_THROWS_AS(forward(cap), invalid_argument);
    }
    CHECK_THROWS_WITH_AS(forward(2e30F),
                         "attention_forward: options.soft_cap is 2e+30, expected 0 (none), or 1e-30 to 1e30",
                         invalid_argument);
}
