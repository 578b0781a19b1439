// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <ostream>
#include <span>
#include <string>
#include <vector>

#include <unmask/analysis/report/detail/data.hpp>
#include <unmask/analysis/report/detail/drawing.hpp>
#include <unmask/analysis/report/detail/page.hpp>
#include <unmask/analysis/report/detail/script.hpp>
#include <unmask/analysis/report/metrics.hpp>
#include <unmask/analysis/report/report.hpp>
#include <unmask/analysis/sink_definition.hpp>
#include <unmask/config.hpp>
#include <unmask/sampler/trace/detail/html_parts.hpp>
#include <unmask/sampler/trace/html.hpp>
#include <unmask/sampler/trace/json.hpp>
#include <unmask/sampler/trace/text.hpp>

UNMASK_NAMESPACE_BEGIN

/// Options of write_sink_html.
struct sink_html_options {
    std::string title = "Where attention goes, step by step"; ///< UTF-8
};

/// Writes runs side by side as one self-contained HTML file that needs no network. For a layer and head, or the mean of
/// a layer's heads, it shows the attention that every key received in every step as a heat map, with extra sinks in a
/// separate column and masked positions in another colour; the strongest key of each step, filled if `definition` makes
/// it a sink; the norms of values against received attention; the text at a step, shaded; the similarity of tokens, if
/// it was recorded; and a table of metrics. Pointing at or tapping a cell shows its token and numbers. The address may
/// name a layer, a head and a step: report.html#2.0.12, report.html#2.mean.12.
///
/// `text` returns the text of a token in all runs, and is called once for each token that occurs. Values are stored in
/// a byte, to 5 %; metrics are computed from the records. Throws invalid_argument, with nothing written, if there are
/// no runs, or if a run has no records or records of different shapes. The caller checks whether writing to `out`
/// succeeded. The file has 40 kB plus about 4/3 bytes for each step, key, layer, and head or kv_head; a run of 64
/// steps, 256 positions and 15 heads takes 0.7 MB. Memory: a copy of the records and of the file.
template <token_text Text, sink_definition Definition = above_share>
void write_sink_html(std::ostream& out, std::span<const sink_run> runs, Text&& text, const Definition& definition = {},
                     const sink_html_options& options = {}) {
    const std::vector<detail::report_run> sorted = detail::report_runs_of("write_sink_html", runs);
    const std::string texts = detail::json_texts(detail::page_tokens(sorted), text);
    const std::string told = detail::told_of(definition);
    const std::string pages =
        detail::json_array(sorted, [&](const detail::report_run& run) { return detail::page_json(run, definition); });
    out << detail::html_begin << detail::html_escaped(options.title) << detail::sink_page_style
        << "{\"title\":" << detail::json_string(options.title) << ",\"definition\":" << detail::json_string(told)
        << ",\"codes\":{\"share\":" << detail::shortest(detail::share_codes)
        << ",\"norm\":" << detail::shortest(detail::norm_codes) << "},\n\"columns\":" << detail::page_columns()
        << ",\n\"texts\":" << texts << ",\n\"runs\":" << pages << "}" << detail::html_script_begin
        << detail::sink_page_drawing << detail::sink_page_script << detail::html_end;
}

UNMASK_NAMESPACE_END
