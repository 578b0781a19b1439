// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <filesystem>
#include <sstream>
#include <string>

#include <doctest/doctest.h>

#include "report.hpp"

using namespace sink_study;

// The report of results that are made up, with verdicts worked out by hand.

namespace {

class made_up_results {
public:
    made_up_results() : folders_{"test_report", ""} {
        std::filesystem::remove_all(folders_.results);
        std::filesystem::create_directories(folders_.results);
    }
    ~made_up_results() { std::filesystem::remove_all(folders_.results); }

    void add(const std::string& variant, std::uint32_t seed, double bits, const std::string& training = "usual",
             const nlohmann::ordered_json& movement = nullptr) const {
        const job which{"text", variant, training, seed};
        nlohmann::ordered_json result = {{"task", which.task},
                                         {"variant", variant},
                                         {"training", training},
                                         {"seed", seed},
                                         {"held_out", {{"bits", bits}}}};
        result["sinks"]["movement"]["sum_3_above_others"] = movement;
        result["sinks"]["similarity_by_layer"] = {0.25, 0.5, 0.75};
        write_result(folders_.result(which), result);
    }
    /// The line that begins so.
    [[nodiscard]] std::string line(const std::string& begin) const {
        std::ostringstream report;
        write_report(report, study_results(folders_));
        const std::string text = report.str();
        const std::size_t at = text.find("\n" + begin) + 1;
        return at == 0 ? "" : text.substr(at, text.find('\n', at) - at);
    }

private:
    study_folders folders_;
};

bool ends_with(const std::string& line, const std::string& verdict) {
    return line.ends_with("| " + verdict + " |");
}

} // namespace

TEST_CASE("a difference is judged by its interval over seeds") {
    const made_up_results results;
    const auto verdict = [&] { return results.line("| Performance improves"); };
    results.add("none", 1, 3.0);
    results.add("front", 1, 2.9);
    CHECK(ends_with(verdict(), "not enough seeds yet"));
    // −0.1, −0.12, −0.11: the interval is ± 0.025.
    results.add("none", 2, 3.2);
    results.add("front", 2, 3.08);
    results.add("none", 3, 2.0);
    results.add("front", 3, 1.89);
    CHECK(verdict().find("without: -0.110 ± 0.010") != std::string::npos);
    CHECK(ends_with(verdict(), "reproduced"));
    results.add("front", 3, 2.3); // −0.1, −0.12, 0.3
    CHECK(ends_with(verdict(), "not reproduced at this scale"));
    results.add("front", 1, 3.31);
    results.add("front", 2, 3.49);
    CHECK(ends_with(verdict(), "contradicted"));
}

TEST_CASE("that something does not matter is judged by how much it may") {
    const made_up_results results;
    const auto verdict = [&] { return results.line("| Its content"); };
    const auto add = [&](double a, double b) {
        results.add("key_value_sink", 1, 3.0);
        results.add("key_value_sink", 2, 2.5);
        results.add("key_sink", 1, 3.0 + a);
        results.add("key_sink", 2, 2.5 + b);
    };
    add(0.001, 0.0012);
    CHECK(ends_with(verdict(), "reproduced"));
    add(0.5, 0.501);
    CHECK(ends_with(verdict(), "contradicted"));
    add(0.0, 0.01); // the mean is 0.005, the interval ± 0.064
    CHECK(verdict().find("| undecided") != std::string::npos);
}

TEST_CASE("seeds are compared with themselves, also where some lack a number") {
    const made_up_results results;
    const auto rate = [](double value) { return nlohmann::ordered_json{{"change_rate", value}}; };
    results.add("none", 1, 3.0, "usual"); // has no sink, and no rate
    results.add("none", 2, 3.0, "usual", rate(0.5));
    results.add("none", 3, 3.0, "usual", rate(0.9));
    results.add("front", 1, 3.0, "usual", rate(0.0));
    results.add("front", 2, 3.0, "usual", rate(0.49));
    results.add("front", 3, 3.0, "usual", rate(0.89));
    // −0.01 twice, not −0.5 and −0.41.
    CHECK(ends_with(results.line("| One token stabilises"), "reproduced"));
    results.add("front", 2, 3.0, "usual", rate(0.51));
    CHECK(ends_with(results.line("| One token stabilises"), "not reproduced at this scale"));
}

TEST_CASE("movement is judged beside that of an untrained model") {
    const made_up_results results;
    const auto moving = [](double rate) {
        return nlohmann::ordered_json{{"heads_with_sink", 0.1}, {"change_rate", rate}};
    };
    const auto verdict = [&] { return results.line("| Sinks move"); };
    for (const std::uint32_t seed : {1U, 2U, 3U}) {
        results.add("none", seed, 3.0, "usual", moving(0.10 + 0.001 * seed));
    }
    CHECK(ends_with(verdict(), "not enough seeds yet"));
    for (const std::uint32_t seed : {1U, 2U, 3U}) {
        results.add("none", seed, 6.0, "none", {{"heads_with_sink", 0.0}});
    }
    CHECK(ends_with(verdict(), "reproduced (that they move at all; an untrained model has no sinks to compare with)"));
    for (const std::uint32_t seed : {1U, 2U, 3U}) {
        results.add("none", seed, 6.0, "none", moving(0.5));
    }
    CHECK(ends_with(verdict(), "contradicted"));
}

TEST_CASE("a line for each model: of a list the last") {
    const made_up_results results;
    results.add("gate", 2, 2.75);
    CHECK(results.line("| `gate`") == "| `gate` | 1 | 2.750 | – | – | – | – | – | 0.25, 0.75 |");
}
