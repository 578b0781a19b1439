// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <ostream>
#include <span>
#include <string>
#include <vector>

#include <unmask/analysis/report/metrics.hpp>
#include <unmask/analysis/report/report.hpp>
#include <unmask/analysis/sink_definition.hpp>
#include <unmask/analysis/sink_record.hpp>
#include <unmask/config.hpp>
#include <unmask/sampler/trace/html.hpp>
#include <unmask/sampler/trace/json.hpp>

UNMASK_NAMESPACE_BEGIN

/// Options of write_sink_json.
struct sink_json_options {
    bool records = true; ///< writes all records, not only the metrics
};

namespace detail {

template <class Values>
std::string json_integers(const Values& values) {
    return json_array(values, [](auto value) { return shortest(static_cast<index_t>(value)); });
}
template <class Values>
std::string json_numbers(const Values& values) {
    return json_array(values, [](auto value) { return json_or_null(value); });
}

inline std::string record_json(const sink_record& one) {
    return "{\"call\":" + shortest(one.call) + ",\"sequence\":" + shortest(one.sequence) +
           ",\"length\":" + shortest(one.length) + ",\"received\":" + json_numbers(one.received) +
           ",\"seen_by\":" + json_integers(one.seen_by) + ",\"value_norms\":" + json_numbers(one.value_norms) +
           ",\"similarity\":" + json_numbers(one.similarity) + ",\"masked\":" + json_integers(one.masked) +
           ",\"tokens\":" + json_integers(one.tokens) + "}";
}

// "steps":64,"change_rate":0.25, …
inline std::string metrics_json(const sink_metric_row& row) {
    std::string result;
    for (std::size_t i = 0; i < row.size(); ++i) {
        result += std::string(i > 0 ? ",\"" : "\"") + sink_metrics[i].name + "\":" + json_or_null(row[i]);
    }
    return result;
}

} // namespace detail

/// Writes runs as JSON, for programs in other languages. One object:
///
///     {"format":"unmask.sinks","version":1,"definition":"Sinks: mean received attention above 0.3 (…).","runs":[
///     {"name":"front","layers":4,"heads":4,"kv_heads":4,"sinks":1,
///     "summary":{"gated_share":0.5,…},
///     "metrics":[{"layer":0,"head":0,"gated_share":0.5,…},…],
///     "records":[{"call":0,"sequence":0,"length":64,"received":[…],"seen_by":[…],"value_norms":[…],
///       "similarity":[…],"masked":[…],"tokens":[…]},…]}]}
///
/// Runs are in the given order, records in the order of their sequence and call, metrics by layer and head. `head` is
/// null for the mean of the layer's heads, and the summary is the mean over all layers and heads. The metrics are those
/// of sink_metrics. Arrays of a record are those of sink_record, flat, with the last index fastest: in NumPy,
/// `np.array(record["received"]).reshape(layers, heads, record["length"] + sinks)`. Numbers are the shortest that read
/// back as the same float or double; null stands for a number that is not finite, and for a metric that is undefined
/// because no key was a sink.
///
/// Throws invalid_argument, with nothing written, if there are no runs, or if a run has no records or records of
/// different shapes. The caller checks whether writing to `out` succeeded. The file has about 11 bytes per number.
template <sink_definition Definition = above_share>
void write_sink_json(std::ostream& out, std::span<const sink_run> runs, const Definition& definition = {},
                     const sink_json_options& options = {}) {
    const std::vector<detail::report_run> sorted = detail::report_runs_of("write_sink_json", runs);
    out << "{\"format\":\"unmask.sinks\",\"version\":1,\"definition\":"
        << detail::json_string(detail::told_of(definition)) << ",\"runs\":[";
    for (std::size_t i = 0; i < sorted.size(); ++i) {
        const detail::report_run& run = sorted[i];
        const sink_record& shape = run.shape();
        const detail::sink_metric_table metrics = detail::metrics_of(run, definition);
        out << (i > 0 ? ",\n" : "\n") << "{\"name\":" << detail::json_string(run.name)
            << ",\"layers\":" << detail::shortest(shape.layers) << ",\"heads\":" << detail::shortest(shape.heads)
            << ",\"kv_heads\":" << detail::shortest(shape.kv_heads) << ",\"sinks\":" << detail::shortest(shape.sinks)
            << ",\n\"summary\":{" << detail::metrics_json(metrics.summary) << "},\n\"metrics\":[";
        for (std::size_t row = 0; row < metrics.rows.size(); ++row) {
            const index_t head = static_cast<index_t>(row) % (shape.heads + 1);
            out << (row > 0 ? ",\n" : "")
                << "{\"layer\":" << detail::shortest(static_cast<index_t>(row) / (shape.heads + 1))
                << ",\"head\":" << (head < shape.heads ? detail::shortest(head) : "null") << ","
                << detail::metrics_json(metrics.rows[row]) << "}";
        }
        out << "]";
        if (options.records) {
            out << ",\n\"records\":[";
            for (std::size_t record = 0; record < run.records.size(); ++record) {
                out << (record > 0 ? ",\n" : "") << detail::record_json(run.records[record]);
            }
            out << "]";
        }
        out << "}";
    }
    out << "]}\n";
}

UNMASK_NAMESPACE_END
