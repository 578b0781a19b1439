// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "../../attention/extremes.hpp"
#include "on_device.hpp"

using namespace test;

TEST_CASE("the probability of an only key, or of one that dominates, is 1 at any size of score") {
    check_only_key<on_device, float>(51);
    check_only_key<on_device, bfloat16>(52);
}
TEST_CASE("finite scores are finite numbers up to the end of the range") {
    check_end_of_range<on_device>();
}
TEST_CASE("scales from 0 to the end of the range") {
    check_scales<on_device>();
}
TEST_CASE("a score of −∞ weighs nothing, and a row that has no other saw nothing") {
    check_scores_of_minus_infinity<on_device>();
}
TEST_CASE("a sink of −∞ is none") {
    check_sinks_of_minus_infinity<on_device, float>();
}
TEST_CASE("soft caps from the smallest to the largest that are taken") {
    check_soft_caps<on_device>();
}
