// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include <unistd.h>

#include "sink_texts.hpp"
#include "sinks.hpp"
#include "test_made_model.hpp"

using namespace pretrained;

namespace {

constexpr auto masked = static_cast<std::size_t>(unmask::key_class::masked);
constexpr auto delimiter = static_cast<std::size_t>(unmask::key_class::delimiter);
constexpr auto content = static_cast<std::size_t>(unmask::key_class::content);
constexpr auto extra = static_cast<std::size_t>(unmask::key_class::extra);

} // namespace

TEST_CASE("frames are measured: every class gets its share, whatever the threads") {
    const loaded_model model(made_file(models[2], 8), models[2]);
    const std::vector<std::string> texts = {"ACDEFGHIKL", "MNPQRSTVWYAC", "ACDEFGHIKLMNPQRSTVWY"};
    const auto results = measure_frames(model, unmask::cpu_executor{1}, texts, 5, 1);
    const auto again = measure_frames(model, unmask::cpu_executor{2}, texts, 5, 1);
    REQUIRE(results.size() == 4);
    CHECK(frames_text(again) == frames_text(results));
    for (const auto& [which, measured, first] : results) {
        CAPTURE(frame_names[static_cast<std::size_t>(which)]);
        double mass = 0.0;
        double even = 0.0;
        for (const auto& each : measured.classes) {
            mass += each[0].mean;
            even += each[1].mean;
        }
        CHECK(std::abs(mass - 1.0) < 1e-6);
        CHECK(std::abs(even - 1.0) < 1e-9);
        CHECK(first.records.size() == 5);
        CHECK(measured.own[0].mean > 0.0);
        const bool self_only = which == frame::self_only || which == frame::added;
        CHECK((measured.classes[extra][1].mean > 0.0) == self_only);
        CHECK((measured.classes[delimiter][1].mean > 0.0) == (which != frame::deleted));
        CHECK(first.records[0].sinks == (self_only ? 1 : 0));
        CHECK(first.records[0].length == (which == frame::deleted ? 10 : which == frame::self_only ? 11 : 12));
        // Masked before, complete at the end.
        CHECK(std::count(first.records.front().masked.begin(), first.records.front().masked.end(), 1) == 10);
        CHECK(std::count(first.records.back().masked.begin(), first.records.back().masked.end(), 1) == 0);
        // Half of the text's positions are masked on average, more or less.
        CHECK(std::abs(measured.classes[masked][1].mean - measured.classes[content][1].mean) < 0.35);
    }
    CHECK(results[0].measured.cosine.mean == doctest::Approx(1.0));
    CHECK(results[1].measured.cosine.mean < 0.9999);
}

TEST_CASE("a file's paragraphs") {
    const std::string path =
        (std::filesystem::temp_directory_path() / ("unmask_test_paragraphs_" + std::to_string(getpid()))).string();
    std::ofstream(path) << "one\n  two\n\nshort\n \t\nthree four\nfive";
    CHECK(paragraphs_of(path, 6) == std::vector<std::string>{"one two", "three four five"});
    CHECK(paragraphs_of(path, 1).size() == 3);
    std::filesystem::remove(path);
    CHECK_THROWS_AS(paragraphs_of(path, 1), std::runtime_error);
    CHECK(paragraphs_of(LICENCE, 50).size() >= 32);
}

TEST_CASE("reactions that balance: the atoms of both sides are the same, but for hydrogen") {
    const auto reactions = amide_reactions();
    CHECK(reactions.size() == 32);
    CHECK(std::set<std::string>(reactions.begin(), reactions.end()).size() == 32);
    for (const std::string& reaction : reactions) {
        const std::size_t arrow = reaction.find(">>");
        REQUIRE(arrow != std::string::npos);
        for (const char atom : std::string("CNOFc")) {
            CHECK(std::count(reaction.begin(), reaction.begin() + static_cast<std::ptrdiff_t>(arrow), atom) ==
                  std::count(reaction.begin() + static_cast<std::ptrdiff_t>(arrow), reaction.end(), atom));
        }
    }
}
