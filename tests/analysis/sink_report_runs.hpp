// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// Runs for the tests of reports: one small enough to work out by hand, and random ones.

#include <cmath>
#include <limits>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include <unmask/analysis/report/html.hpp>
#include <unmask/analysis/report/report.hpp>
#include <unmask/analysis/sink_record.hpp>

namespace sink_report_test {

using namespace unmask;

inline constexpr double no_number = std::numeric_limits<double>::quiet_NaN();

struct shape {
    index_t layers = 1, heads = 1, kv_heads = 1, length = 4, sinks = 0;
};

inline sink_record empty_record(const shape& of, index_t sequence, index_t call) {
    sink_record one;
    one.call = call;
    one.sequence = sequence;
    one.layers = of.layers;
    one.heads = of.heads;
    one.kv_heads = of.kv_heads;
    one.length = of.length;
    one.sinks = of.sinks;
    return one;
}

// Random mass, of which each query gives 1; everything is seen by `length` queries.
inline sink_record random_record(const shape& of, index_t sequence, index_t call, std::mt19937& random) {
    sink_record one = empty_record(of, sequence, call);
    std::exponential_distribution<double> heavy;
    for (index_t row = 0; row < of.layers * of.heads; ++row) {
        std::vector<double> mass(static_cast<std::size_t>(one.keys()));
        double all = 0;
        for (double& each : mass) {
            all += each = std::exp(2 * heavy(random));
        }
        for (const double each : mass) {
            one.received.push_back(static_cast<float>(each / all * static_cast<double>(of.length)));
        }
    }
    one.seen_by.assign(static_cast<std::size_t>(of.layers * one.keys()), of.length);
    for (index_t i = 0; i < of.layers * of.kv_heads * one.keys(); ++i) {
        one.value_norms.push_back(static_cast<float>(0.1 + heavy(random)));
    }
    for (index_t i = 0; i < of.length; ++i) {
        one.masked.push_back(static_cast<std::uint8_t>(random() % 2));
        one.tokens.push_back(static_cast<token_t>(random() % 5));
    }
    return one;
}

inline sink_run random_run(const std::string& name, const shape& of, index_t sequences, index_t steps, unsigned seed) {
    std::mt19937 random(seed);
    sink_run run{name, {}};
    for (index_t call = 0; call < steps; ++call) {
        for (index_t sequence = 0; sequence < sequences; ++sequence) {
            run.records.push_back(random_record(of, sequence, call, random));
        }
    }
    return run;
}

// Two positions and an extra sink, one head: numbers that are worked out by hand.
inline sink_record small_record() {
    sink_record one = empty_record({1, 1, 1, 2, 1}, 2, 7);
    one.received = {0.25F, 0.5F, 1.25F};
    one.seen_by = {2, 2, 2};
    one.value_norms = {1, 3, 0.5F};
    one.masked = {1, 0};
    one.tokens = {4, 3};
    return one;
}

inline std::string word(token_t token) {
    return token == 4 ? "</script>\"\\\x01\xff" : std::string(1, static_cast<char>('a' + token));
}

template <class... More>
std::string html_of(const std::vector<sink_run>& runs, const More&... more) {
    std::ostringstream out;
    write_sink_html(out, runs, word, more...);
    return out.str();
}

} // namespace sink_report_test
