// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <doctest/doctest.h>

#include "calls.inl"
#include "comparison.hpp"
#include "reference_calls.inl"

// Kernels that are compiled for one mask or sink, as a user's are: the other tests call those of any_mask.

using namespace test;

TEST_CASE("a mask of a type of its own gives the bits that it gives behind any_mask") {
    std::mt19937 random(20);
    problem<float> own({1, 70, 90, 2, 1, 40}, random);
    problem<float> erased(own);
    const extra_sink mask{bidirectional{}, 10, 3};
    run_on_cpu(own, mask);
    run_on_cpu(erased, any_mask(mask));
    CHECK(own.output == erased.output);
    CHECK(own.log_sum_exp == erased.log_sum_exp);
    CHECK(own.d_query == erased.d_query);
    CHECK(own.d_key == erased.d_key);
    CHECK(own.d_value == erased.d_value);
    CHECK(own.received == erased.received);
}

TEST_CASE("a predicate without row() is exact") {
    std::mt19937 random(18);
    problem<float> p({1, 80, 140, 2, 1, 40}, random);
    CHECK(compare<key_value_sink>(p, predicate(every_third{}), {}).passed());
    CHECK(compare<no_sink>(p, predicate(every_third{}) && causal{}, {.soft_cap = 3.0F}).passed());
}

namespace {

// A user's own sink policy: a fixed logit on every second head.
struct alternating_sink {
    static constexpr bool present = true;
    static constexpr bool has_key = false;
    static constexpr bool has_value = false;
    float strength = 1.5F;
    constexpr float logit(index_t head) const { return head % 2 == 0 ? strength : -1e30F; }
};

} // namespace

TEST_CASE("a user's own sink policy is a sink policy") {
    std::mt19937 random(19);
    problem<float> p({1, 70, 70, 2, 1, 40}, random);
    CHECK(compare<alternating_sink>(p, causal{}, {}).passed());
    problem<float> without(p);
    run_on_cpu(without, any_mask(causal{}));
    for (std::size_t i = 0; i < p.output.size(); ++i) { // heads 0 and 1 in turn, 40 floats each
        CHECK((i / 40 % 2 == 1) == (p.output[i] == without.output[i]));
    }
}
