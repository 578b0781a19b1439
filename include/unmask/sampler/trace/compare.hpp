// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/sampler/candidate.hpp>
#include <unmask/sampler/trace/trace.hpp>

UNMASK_NAMESPACE_BEGIN

/// The differences of two runs on the same canvas. Shares are of `positions`, and 0 if there are none.
struct trace_difference {
    /// A position at a call of the model.
    struct place {
        index_t call = 0; ///< number of the call
        row where;        ///< the position
    };

    std::optional<place> first;  ///< the first change that differs in place, call, kind or token
    index_t positions = 0;       ///< positions that at least one of the runs changed
    double different_tokens = 0; ///< share of positions that end with different tokens, or that one run did not change
    double different_calls = 0;  ///< share of positions last committed or filled at different calls, or in one run only
    double log_probability = 0;  ///< largest difference, in nats, at positions that end with equal tokens; see compare
    std::optional<row> least_alike; ///< the position of that difference; empty if it is 0
};

namespace detail {

// The result of a trace at a position.
struct trace_result {
    token_t token = -1;
    index_t committed = -1; // the last call that committed it; −1 if it is masked at the end
    double log_probability = 0;

    void add(const trace::entry& entry) {
        const commitment& what = entry.what;
        const bool masked = what.change == change::remask || what.change == change::renoise;
        const bool stays = what.change == change::edit;
        *this = {what.token, masked ? -1 : stays ? committed : entry.call, what.log_probability};
    }
};

// An entry of one of two traces.
struct entry_of_two {
    int of; // 0 or 1
    const trace::entry* entry;

    [[nodiscard]] const row& where() const { return entry->what.where; }
    friend bool operator<(const entry_of_two& x, const entry_of_two& y) {
        return x.where() != y.where() ? x.where() < y.where() : x.of != y.of ? x.of < y.of : x.entry < y.entry;
    }
};

// By position, and there in the order of each trace.
inline std::vector<entry_of_two> entries_by_position(const trace& a, const trace& b) {
    std::vector<entry_of_two> all;
    for (const trace::entry& entry : a.entries) {
        all.push_back({0, &entry});
    }
    for (const trace::entry& entry : b.entries) {
        all.push_back({1, &entry});
    }
    std::sort(all.begin(), all.end());
    return all;
}

inline std::optional<trace_difference::place> first_difference(const trace& a, const trace& b) {
    const auto same = [](const trace::entry& x, const trace::entry& y) {
        return x.call == y.call && x.what.where == y.what.where && x.what.token == y.what.token &&
               x.what.change == y.what.change;
    };
    std::size_t at = 0;
    while (at < a.entries.size() && at < b.entries.size() && same(a.entries[at], b.entries[at])) {
        ++at;
    }
    std::optional<trace_difference::place> first; // the earlier one
    for (const trace* from : {&a, &b}) {
        if (at < from->entries.size()) {
            const auto& [call, what] = from->entries[at];
            const bool earlier = !first || call < first->call || (call == first->call && what.where < first->where);
            first = earlier ? trace_difference::place{call, what.where} : *first;
        }
    }
    return first;
}

} // namespace detail

/// Compares two runs on the same canvas: of two models or two policies, or of the same ones with another cache or on
/// another machine. Log-probabilities are compared at positions whose last change left the same token in both runs; two
/// −∞ are equal. O(n log n) for n entries.
[[nodiscard]] inline trace_difference compare(const trace& a, const trace& b) {
    trace_difference result;
    result.first = detail::first_difference(a, b);
    index_t tokens = 0;
    index_t calls = 0;
    const std::vector<detail::entry_of_two> all = detail::entries_by_position(a, b);
    for (auto each = all.begin(); each != all.end();) {
        const row where = each->where();
        detail::trace_result both[2];
        for (; each != all.end() && each->where() == where; ++each) {
            both[each->of].add(*each->entry);
        }
        const auto& [x, y] = both;
        ++result.positions;
        tokens += x.token != y.token ? 1 : 0;
        calls += x.committed != y.committed ? 1 : 0;
        if (x.token == y.token && x.log_probability != y.log_probability) {
            const double distance = std::abs(x.log_probability - y.log_probability);
            if (distance > result.log_probability) {
                result.log_probability = distance;
                result.least_alike = where;
            }
        }
    }
    const double share = result.positions > 0 ? 1.0 / static_cast<double>(result.positions) : 0.0;
    result.different_tokens = static_cast<double>(tokens) * share;
    result.different_calls = static_cast<double>(calls) * share;
    return result;
}

/// Describes the differences in one paragraph of English text, without a newline.
[[nodiscard]] inline std::string to_string(const trace_difference& difference) {
    const auto number = [](const char* format, double value) {
        char text[32];
        std::snprintf(text, sizeof text, format, value);
        return std::string(text);
    };
    const auto place = [](row where) {
        return "sequence " + std::to_string(where.sequence) + ", position " + std::to_string(where.position);
    };
    std::string text;
    if (!difference.first) {
        text = "The traces make the same changes at the same calls, at " + std::to_string(difference.positions) +
               " positions.";
    } else {
        text = "The traces differ first at call " + std::to_string(difference.first->call) + ", " +
               place(difference.first->where) + ". Of " + std::to_string(difference.positions) + " positions " +
               number("%.3g", 100 * difference.different_tokens) + " % end with different tokens and " +
               number("%.3g", 100 * difference.different_calls) + " % were committed at different calls.";
    }
    if (difference.least_alike) {
        text += " Where the tokens agree their log-probabilities differ by up to " +
                number("%.3g", difference.log_probability) + " nats, at " + place(*difference.least_alike) + ".";
    } else {
        text += " Where the tokens agree their log-probabilities are equal.";
    }
    return text;
}

UNMASK_NAMESPACE_END
