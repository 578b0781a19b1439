// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// What training says of itself: its curve, and its work.

#include <doctest/doctest.h>

#include <sstream>
#include <string>

#include "curve.hpp"
#include "training_cost.hpp"
#include "variant.hpp"

using namespace language_model;

TEST_CASE("bounds are read from what training printed") {
    std::istringstream log("sink token, 100 parameters, 1000 tokens of text, from step 0\n"
                           "step 50/200  loss 9.4 bits  10 tokens/s  1.0 GFLOP/s  elapsed 4:48  left 1:00  rate 1e-3\n"
                           "step 100  held-out bound 2.2500 bits/character, standard error 0.0277, 64 windows\n"
                           "step 150  held-out bound 2.0000 bits/character, standard error 0.0200, 64 windows\n"
                           "interrupted; the same command goes on from here\n"
                           "sink token, 100 parameters, 1000 tokens of text, from step 120\n"
                           "step 160  held-out bound nonsense\n"
                           "step 200/200  loss 7.0 bits  10 tokens/s  elapsed 4:48  left 0:00  rate 1e-3\n"
                           "held-out bound 1.7500 bits/character, standard error 0.0100, 800 windows\n");
    const auto bounds = bounds_in(log);
    REQUIRE(bounds.size() == 2); // step 150 is of a run that was abandoned
    CHECK(bounds.at(100).bits == 2.25);
    CHECK(bounds.at(100).standard_error == 0.0277);
    CHECK(bounds.at(200).bits == 1.75); // the last line has no step of its own
    CHECK(bounds.at(200).windows == 800);

    const examples::chart curve = curve_of(bounds, 20'000, {{"6-gram", 1.79}});
    REQUIRE(curve.series.size() == 1);
    REQUIRE(curve.series[0].points.size() == 2);
    CHECK(curve.series[0].points[1].x == 4.0); // million tokens
    CHECK(curve.series[0].points[1].y == 1.75);
    CHECK(curve.series[0].points[1].error == 0.02);
    CHECK(curve.levels.size() == 1);

    std::istringstream nothing("step 1/2  loss 1 bits\n");
    CHECK(bounds_in(nothing).empty());
}

TEST_CASE("training's operations are those of products and attention") {
    const model_shape shape{.vocabulary = 11, .width = 8, .layers = 3, .heads = 2, .ffn = 5};
    with_variant("key_value", shape, [&](const auto& model) {
        const double products = 3 * (8 * 24 + 8 * 8 + 8 * 10 + 5 * 8) + 8 * 11; // neither embedding, gains nor sinks
        CHECK(training_flops_a_token(model.places(), shape, 7) == 6.0 * products + 12.0 * 3 * 8 * 7);
    });
}
