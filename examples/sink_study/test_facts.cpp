// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <cmath>

#include <doctest/doctest.h>

#include "exact_facts.hpp"
#include "study_results.hpp"

using namespace sink_study;

TEST_CASE("what is exactly true of a sink token is") {
    for (const exact_fact& each : exact_facts()) {
        CAPTURE(each.what);
        CHECK(each.largest_difference <= each.allowed);
    }
}

TEST_CASE("means over seeds, their deviations and intervals") {
    const estimate three{{1.0, 2.0, 6.0}};
    CHECK(three.mean() == doctest::Approx(3.0));
    CHECK(three.deviation() == doctest::Approx(std::sqrt(7.0)));
    CHECK(three.half_width() == doctest::Approx(4.303 * std::sqrt(7.0 / 3.0)));
    CHECK(three.text(1) == "3.0 ± 2.6");
    CHECK(three.interval(1) == "3.0 ± 6.6");
    CHECK(estimate{{2.0}}.text(2) == "2.00");
    CHECK(std::isinf(estimate{{2.0}}.half_width()));
    CHECK(estimate{}.text() == "–");
}
