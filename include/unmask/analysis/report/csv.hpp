// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <unmask/analysis/report/metrics.hpp>
#include <unmask/analysis/report/report.hpp>
#include <unmask/analysis/sink_definition.hpp>
#include <unmask/analysis/sink_movement.hpp>
#include <unmask/analysis/sink_record.hpp>
#include <unmask/analysis/sink_strength.hpp>
#include <unmask/config.hpp>
#include <unmask/sampler/trace/json.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// A field of RFC 4180: quoted if it contains a comma, a quote or a line end, with quotes doubled.
inline std::string csv_field(std::string_view text) {
    if (text.find_first_of(",\"\r\n") == std::string_view::npos) {
        return std::string(text);
    }
    std::string quoted = "\"";
    for (const char one : text) {
        quoted += one == '"' ? "\"\"" : std::string(1, one);
    }
    return quoted + '"';
}

// A number, or an empty field for one that is not finite.
inline std::string csv_number(double value) {
    const std::string text = json_or_null(value);
    return text == "null" ? "" : text;
}

template <class Definition>
std::string csv_line(const std::string& name, const sink_record& record, index_t layer, index_t head,
                     const Definition& definition) {
    const std::vector<double> shares = received_by(record, layer, head, attention_unit::mean);
    const std::vector<std::uint8_t> is_sink = sinks_in(record, layer, head, definition);
    const index_t key = strongest_of(shares);
    const auto at = static_cast<std::size_t>(key);
    const bool is_position = key < record.length;
    const std::span<const float> norms = record.value_norms_of(layer, head);
    const double middle = median(std::vector<double>(norms.begin(), norms.begin() + record.length));
    std::string line = name + ',' + shortest(record.sequence) + ',' + shortest(record.call) + ',' + shortest(layer) +
                       ',' + shortest(head) + ',' + shortest(position_of(record, at)) + ',';
    line += is_position && !record.tokens.empty() ? shortest(record.tokens[at]) : "";
    line += ',';
    line += is_position && !record.masked.empty() ? shortest(static_cast<int>(record.masked[at] != 0)) : "";
    line += ',' + csv_number(shares[at]) + ',' + csv_number(shares[at] / uniform_share(record, layer)) + ',' +
            shortest(static_cast<int>(is_sink[at] != 0)) + ',' +
            shortest(std::count_if(is_sink.begin(), is_sink.end(), [](std::uint8_t one) { return one != 0; })) + ',' +
            csv_number(extra_mass(record, layer, head)) + ',' + csv_number(static_cast<double>(norms[at])) + ',' +
            csv_number(static_cast<double>(norms[at]) / middle) + "\r\n";
    return line;
}

} // namespace detail

/// Writes runs as CSV (RFC 4180, lines end in CR LF): a header, then a line for each run, sequence, call, layer and
/// head, in this order, about the key that received most:
///
///     run,sequence,call,layer,head,position,token,masked,share,times_uniform,is_sink,sinks,extra_mass,value_norm,
///     norm_ratio
///
/// `position` is −1 for the first extra sink, −2 for the next; `token` and `masked` are empty for these, and if the
/// records lack them. `share` is the mean attention that the key received from the queries that see it, in [0, 1];
/// `times_uniform` is `share` divided by that of uniform attention. `is_sink` and `sinks`, the number of sinks, follow
/// `definition`. `extra_mass` is the share of all attention that went to extra sinks, `value_norm` is the key's, and
/// `norm_ratio` is `value_norm` over the median of the positions. A number that is not finite is an empty field.
///
/// Throws invalid_argument, with nothing written, if there are no runs, or if a run has no records or records of
/// different shapes. The caller checks whether writing to `out` succeeded. Work: O(keys · log keys) per line. Memory: a
/// copy of the records.
template <sink_definition Definition = above_share>
void write_sink_csv(std::ostream& out, std::span<const sink_run> runs, const Definition& definition = {}) {
    const std::vector<detail::report_run> sorted = detail::report_runs_of("write_sink_csv", runs);
    out << "run,sequence,call,layer,head,position,token,masked,share,times_uniform,is_sink,sinks,extra_mass,value_norm,"
           "norm_ratio\r\n";
    for (const detail::report_run& run : sorted) {
        const std::string name = detail::csv_field(run.name);
        for (const sink_record& record : run.records) {
            for (index_t layer = 0; layer < record.layers; ++layer) {
                for (index_t head = 0; head < record.heads; ++head) {
                    out << detail::csv_line(name, record, layer, head, definition);
                }
            }
        }
    }
}

UNMASK_NAMESPACE_END
