// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <istream>
#include <limits>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/error.hpp>
#include <unmask/sampler/candidate.hpp>
#include <unmask/sampler/trace/trace.hpp>
#include <unmask/tensor/float_types.hpp>

UNMASK_NAMESPACE_BEGIN

/// The contents of a trace file.
struct trace_file {
    std::optional<std::uint64_t> seed; ///< the seed of the run, if known
    std::vector<index_t> lengths;      ///< the lengths of the canvas's sequences
    trace what;                        ///< the changes
};

namespace detail {

// The shortest text that reads back as the same number, in any locale.
template <class Number>
std::string shortest(Number value) {
    std::array<char, 32> text; // a double takes at most 24
    const auto result = std::to_chars(text.data(), text.data() + text.size(), value);
    return {text.data(), result.ptr};
}

// A double as JSON, which has no infinities and no NaN: these are the strings "inf", "-inf" and "nan".
inline std::string json_number(double value) {
    const auto magnitude = bits_as<std::uint64_t>(value) << 1; // -ffast-math removes comparisons
    constexpr std::uint64_t infinite = 0xffe0000000000000U;
    if (magnitude < infinite) {
        return shortest(value);
    }
    return magnitude > infinite ? "\"nan\"" : bits_as<std::uint64_t>(value) >> 63 != 0 ? "\"-inf\"" : "\"inf\"";
}

// One line of a trace file, read from the left. Errors name the line.
class json_line {
public:
    json_line(std::string_view text, index_t number) : left_(text), number_(number) {}

    [[noreturn]] void fail(std::string expected) const {
        constexpr std::size_t shown = 40;
        std::string was(left_.empty() ? "its end" : left_.substr(0, shown));
        const auto may_be_obeyed = [](char c) { return c < 0x20 || c > 0x7e; }; // by a terminal
        std::replace_if(was.begin(), was.end(), may_be_obeyed, '?');
        throw invalid_argument("read_trace", "line " + std::to_string(number_), "at " + was, std::move(expected));
    }

    [[nodiscard]] bool skip(std::string_view text) {
        const bool there = left_.starts_with(text);
        left_.remove_prefix(there ? text.size() : 0);
        return there;
    }

    void expect(std::string_view text) {
        if (!skip(text)) {
            fail(std::string(text));
        }
    }

    void expect_end() const {
        if (!left_.empty()) {
            fail("the end of the line");
        }
    }

    // An integer of [least, most].
    template <class Integer>
    Integer integer(Integer least, Integer most) {
        Integer value = 0;
        const std::string_view digits = left_.substr(0, left_.find_first_not_of("-0123456789"));
        const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), value);
        if (result.ec != std::errc() || value < least || value > most || shortest(value) != digits) {
            fail("an integer from " + shortest(least) + " to " + shortest(most));
        }
        left_.remove_prefix(digits.size());
        return value;
    }

    double number() {
        constexpr double infinity = std::numeric_limits<double>::infinity();
        if (skip("\"inf\"")) {
            return infinity;
        }
        if (skip("\"-inf\"")) {
            return -infinity;
        }
        if (skip("\"nan\"")) {
            return std::numeric_limits<double>::quiet_NaN();
        }
        double value = 0;
        const std::string_view text = left_.substr(0, left_.find_first_not_of("+-.0123456789eE"));
        const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
        if (result.ec != std::errc() || result.ptr != text.data() + text.size() || !is_json(text)) {
            fail("a number, \"inf\", \"-inf\" or \"nan\"");
        }
        left_.remove_prefix(text.size());
        return value;
    }

    change change_name() {
        for (std::size_t i = 1; i < change_names.size(); ++i) {
            if (skip(change_names[i])) {
                return static_cast<change>(i);
            }
        }
        fail("commit, remask, renoise, edit or fill");
    }

private:
    // Rejects 007, .5 and 5., which from_chars accepts and JSON does not.
    static bool is_json(std::string_view text) {
        const auto digit = [&](std::size_t i) { return i < text.size() && text[i] >= '0' && text[i] <= '9'; };
        const std::size_t first = text.starts_with('-') ? 1 : 0;
        const std::size_t point = text.find('.');
        return digit(first) && !(text[first] == '0' && digit(first + 1)) &&
               (point == std::string_view::npos || digit(point + 1));
    }

    std::string_view left_;
    index_t number_;
};

// Throws for entries that no run can have made.
inline void check_entries(const trace_file& file) {
    index_t call = 0;
    for (std::size_t i = 0; i < file.what.entries.size(); ++i) {
        const auto& [at, what] = file.what.entries[i];
        const auto expects = [&](bool condition, const char* field, index_t was, const std::string& expected) {
            if (!condition) {
                throw invalid_argument("write_trace",
                                       std::string(field) + " of trace.entries[" + std::to_string(i) + "]",
                                       std::to_string(was), expected);
            }
        };
        expects(at >= call, "call", at, "at least " + std::to_string(call));
        call = at;
        const auto [sequence, position] = what.where;
        expects(sequence >= 0 && sequence < std::ssize(file.lengths), "sequence", sequence, "one of the canvas");
        expects(position >= 0 && position < file.lengths[static_cast<std::size_t>(sequence)], "position", position,
                "one of the sequence");
        expects(what.token >= 0, "token", what.token, "at least 0");
        const auto kind = static_cast<std::size_t>(what.change);
        expects(kind > 0 && kind < change_names.size(), "change", static_cast<index_t>(kind),
                "a change other than none");
    }
}

} // namespace detail

/// Writes a trace as JSON lines: a header,
///
///     {"format":"unmask.trace","version":1,"seed":7,"changes":2,"lengths":[16,20]}
///
/// in which the seed may be missing, and an object for every change, in order,
///
///     {"step":0,"sequence":1,"position":4,"token":318,"score":-0.25,"log_probability":-0.25,"change":"commit"}
///
/// where `step` is the number of the model's call, from 0, and `change` is commit, remask, renoise, edit or fill.
/// Numbers are the shortest that read back as the same double; the strings "inf", "-inf" and "nan" stand for values
/// that JSON can't express. Throws invalid_argument, with nothing written, if an entry is outside the lengths, goes
/// back in time or has no change. The caller checks whether writing to `out` succeeded.
inline void write_trace(std::ostream& out, const trace_file& file) {
    using detail::shortest;
    detail::check_entries(file);
    std::string line = "{\"format\":\"unmask.trace\",\"version\":1";
    if (file.seed) {
        line += ",\"seed\":" + shortest(*file.seed);
    }
    line += ",\"changes\":" + shortest(file.what.entries.size()) + ",\"lengths\":[";
    for (std::size_t i = 0; i < file.lengths.size(); ++i) {
        line += (i > 0 ? "," : "") + shortest(file.lengths[i]);
    }
    line += "]}\n";
    out.write(line.data(), std::ssize(line));
    for (const auto& [call, what] : file.what.entries) {
        line = "{\"step\":" + shortest(call) + ",\"sequence\":" + shortest(what.where.sequence) +
               ",\"position\":" + shortest(what.where.position) + ",\"token\":" + shortest(what.token) +
               ",\"score\":" + detail::json_number(what.score.value) +
               ",\"log_probability\":" + detail::json_number(what.log_probability) + ",\"change\":\"" +
               detail::change_names[static_cast<std::size_t>(what.change)] + "\"}\n";
        out.write(line.data(), std::ssize(line));
    }
}

/// Reads the format of write_trace exactly: the fields in that order, without spaces, every line complete. Throws
/// invalid_argument, naming the line, at the first deviation, at an entry outside the lengths or back in time, and if
/// the number of changes differs from the header's.
[[nodiscard]] inline trace_file read_trace(std::istream& in) {
    constexpr index_t most = std::numeric_limits<index_t>::max();
    trace_file file;
    std::string text;
    index_t number = 1;
    std::getline(in, text);
    detail::json_line header(text, number);
    header.expect("{\"format\":\"unmask.trace\",\"version\":1,");
    if (header.skip("\"seed\":")) {
        file.seed = header.integer<std::uint64_t>(0, std::numeric_limits<std::uint64_t>::max());
        header.expect(",");
    }
    header.expect("\"changes\":");
    const auto changes = header.integer<index_t>(0, most);
    header.expect(",\"lengths\":[");
    if (!header.skip("]")) {
        do {
            file.lengths.push_back(header.integer<index_t>(0, std::numeric_limits<std::uint32_t>::max()));
        } while (header.skip(","));
        header.expect("]");
    }
    header.expect("}");
    header.expect_end();
    for (index_t i = 0, call = 0; i < changes; ++i) {
        text.clear();
        std::getline(in, text);
        detail::json_line line(text, ++number);
        trace::entry entry;
        line.expect("{\"step\":");
        entry.call = line.integer<index_t>(call, most);
        call = entry.call;
        line.expect(",\"sequence\":");
        const auto sequence = line.integer<index_t>(0, std::ssize(file.lengths) - 1);
        line.expect(",\"position\":");
        const auto position = line.integer<index_t>(0, file.lengths[static_cast<std::size_t>(sequence)] - 1);
        entry.what.where = {sequence, position};
        line.expect(",\"token\":");
        entry.what.token = line.integer<token_t>(0, std::numeric_limits<token_t>::max());
        line.expect(",\"score\":");
        entry.what.score = {line.number()};
        line.expect(",\"log_probability\":");
        entry.what.log_probability = line.number();
        line.expect(",\"change\":\"");
        entry.what.change = line.change_name();
        line.expect("\"}");
        line.expect_end();
        file.what.entries.push_back(entry);
    }
    if (in.peek() != std::istream::traits_type::eof()) {
        throw invalid_argument("read_trace", "line " + std::to_string(number + 1), "there",
                               "the end after " + std::to_string(changes) + " changes");
    }
    return file;
}

UNMASK_NAMESPACE_END
