// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <unmask/analysis/sink_record.hpp>
#include <unmask/config.hpp>
#include <unmask/error.hpp>
#include <unmask/sampler/trace/json.hpp>

UNMASK_NAMESPACE_BEGIN

/// A run in a report. All records have the same number of layers, heads, kv_heads and extra sinks;
/// their lengths may differ.
struct sink_run {
    std::string name;                 ///< UTF-8
    std::vector<sink_record> records; ///< in any order, at most one for each sequence and call
};

namespace detail {

// A run as reports read it: records in order of sequence and call.
struct report_run {
    std::string name;
    std::vector<sink_record> records;

    [[nodiscard]] const sink_record& shape() const { return records.front(); }

    // The records of each sequence.
    [[nodiscard]] std::vector<std::span<const sink_record>> sequences() const {
        std::vector<std::span<const sink_record>> result;
        for (std::size_t begin = 0, i = 1; i <= records.size(); ++i) {
            if (i == records.size() || records[i].sequence != records[begin].sequence) {
                result.push_back({records.data() + begin, i - begin});
                begin = i;
            }
        }
        return result;
    }
};

// Throws errors about a record of a run.
class record_check {
public:
    record_check(const char* function, std::string where) : function_(function), where_(std::move(where)) {}

    void same(const char* field, index_t was, index_t expected, const std::string& why) const {
        if (was != expected) {
            throw invalid_argument(function_, std::string(field) + " of " + where_, std::to_string(was),
                                   std::to_string(expected) + why);
        }
    }

    void at_least(const char* field, index_t was, index_t least) const {
        if (was < least) {
            throw invalid_argument(function_, std::string(field) + " of " + where_, std::to_string(was),
                                   "at least " + std::to_string(least));
        }
    }

    void same_shape(const sink_record& one, const sink_record& first) const {
        const std::string as_first = ", as in the run's first record";
        same("layers", one.layers, first.layers, as_first);
        same("heads", one.heads, first.heads, as_first);
        same("kv_heads", one.kv_heads, first.kv_heads, as_first);
        same("sinks", one.sinks, first.sinks, as_first);
        at_least("layers", one.layers, 1);
        at_least("kv_heads", one.kv_heads, 1);
        at_least("heads", one.heads, 1);
        same("heads modulo kv_heads", one.heads % one.kv_heads, 0, "");
        at_least("length", one.length, 1);
        at_least("sinks", one.sinks, 0);
    }

    void complete(const sink_record& one) const {
        same("received.size()", std::ssize(one.received), one.layers * one.heads * one.keys(),
             " (layers * heads * keys)");
        same("seen_by.size()", std::ssize(one.seen_by), one.layers * one.keys(), " (layers * keys)");
        same("value_norms.size()", std::ssize(one.value_norms), one.layers * one.kv_heads * one.keys(),
             " (layers * kv_heads * keys)");
        if (!one.similarity.empty()) {
            same("similarity.size()", std::ssize(one.similarity), one.layers + 1, " (layers + 1), or 0");
        }
        if (!one.masked.empty()) {
            same("masked.size()", std::ssize(one.masked), one.length, " (length), or 0");
        }
        if (!one.tokens.empty()) {
            same("tokens.size()", std::ssize(one.tokens), one.length, " (length), or 0");
        }
    }

private:
    const char* function_;
    std::string where_;
};

// `what` names the run in messages, such as "runs[0]".
inline report_run report_run_of(const char* function, const sink_run& run, const std::string& what) {
    if (run.records.empty()) {
        throw invalid_argument(function, what + ".records", "empty", "a record or more");
    }
    for (std::size_t i = 0; i < run.records.size(); ++i) {
        const record_check check(function, what + ".records[" + std::to_string(i) + "]");
        check.same_shape(run.records[i], run.records.front());
        check.complete(run.records[i]);
    }
    report_run result{run.name, run.records};
    std::vector<sink_record>& records = result.records;
    std::sort(records.begin(), records.end(), [](const sink_record& a, const sink_record& b) {
        return a.sequence != b.sequence ? a.sequence < b.sequence : a.call < b.call;
    });
    const auto twice =
        std::adjacent_find(records.begin(), records.end(), [](const sink_record& a, const sink_record& b) {
            return a.sequence == b.sequence && a.call == b.call;
        });
    if (twice != records.end()) {
        throw invalid_argument(function, what + ".records",
                               "with two of sequence " + std::to_string(twice->sequence) + ", call " +
                                   std::to_string(twice->call),
                               "one for each sequence and call");
    }
    return result;
}

inline std::vector<report_run> report_runs_of(const char* function, std::span<const sink_run> runs) {
    if (runs.empty()) {
        throw invalid_argument(function, "runs", "empty", "a run or more");
    }
    std::vector<report_run> result;
    for (std::size_t i = 0; i < runs.size(); ++i) {
        result.push_back(report_run_of(function, runs[i], "runs[" + std::to_string(i) + "]"));
    }
    return result;
}

// The mean share that a key would receive in a layer if every query spread its attention uniformly over its visible
// keys: the total attention of a head over the number of visible pairs. With a bidirectional mask this is 1 / keys.
inline double uniform_share(const sink_record& record, index_t layer) {
    double given = 0;
    double pairs = 0;
    const std::size_t row = static_cast<std::size_t>(record.heads * record.keys());
    const std::size_t keys = static_cast<std::size_t>(record.keys());
    for (std::size_t i = 0; i < row; ++i) {
        given += static_cast<double>(record.received[static_cast<std::size_t>(layer) * row + i]);
    }
    for (std::size_t i = 0; i < keys; ++i) {
        pairs += static_cast<double>(record.seen_by[static_cast<std::size_t>(layer) * keys + i]);
    }
    const double share = given / (static_cast<double>(record.heads) * pairs);
    return share > 0 ? share : 1; // nothing is visible: everything that is divided by this is 0
}

// A number as JSON, or null for one that JSON can't express.
inline std::string json_or_null(double value) {
    const std::string text = json_number(value);
    return text.front() == '"' ? "null" : text;
}
inline std::string json_or_null(float value) {
    return json_number(static_cast<double>(value)).front() == '"' ? "null" : shortest(value);
}

// [a,b,c], where `text` converts each element.
template <class Range, class Text>
std::string json_array(const Range& range, const Text& text) {
    std::string result = "[";
    for (const auto& each : range) {
        if (result.size() > 1) {
            result += ',';
        }
        result += text(each);
    }
    return result + ']';
}

} // namespace detail

UNMASK_NAMESPACE_END
