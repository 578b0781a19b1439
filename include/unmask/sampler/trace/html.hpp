// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/trace/detail/html_page.hpp>
#include <unmask/sampler/trace/detail/html_parts.hpp>
#include <unmask/sampler/trace/json.hpp>
#include <unmask/sampler/trace/replay.hpp>
#include <unmask/sampler/trace/shade.hpp>
#include <unmask/sampler/trace/text.hpp>
#include <unmask/sampler/trace/trace.hpp>

UNMASK_NAMESPACE_BEGIN

/// Options of write_html.
struct html_options {
    std::string title = "A generation, step by step"; ///< UTF-8
    shade_by shade = shade_by::score;                 ///< the meaning of a token's shade
};

namespace detail {

// A JSON string, quotes included, of printable characters. It can stand in an HTML script element, in which the parser
// looks for `<`, and in JavaScript, for which U+2028 and U+2029 end a line.
inline std::string json_string(std::string_view text) {
    constexpr std::string_view digits = "0123456789abcdef";
    const std::string shown = shown_text(text);
    std::string quoted = "\"";
    for (std::size_t i = 0; i < shown.size(); ++i) {
        const char one = shown[i];
        const std::string_view line_end = std::string_view(shown).substr(i, 3);
        if (one == '"' || one == '\\') {
            quoted += '\\';
            quoted += one;
        } else if (one == '<' || one == '>' || one == '&' || one == '\n' || one == '\t') {
            const auto code = static_cast<unsigned char>(one);
            quoted += "\\u00";
            quoted += digits[code / 16];
            quoted += digits[code % 16];
        } else if (line_end == "\xe2\x80\xa8" || line_end == "\xe2\x80\xa9") {
            quoted += line_end.back() == '\xa8' ? "\\u2028" : "\\u2029";
            i += 2;
        } else {
            quoted += one;
        }
    }
    return quoted + '"';
}

inline std::string html_escaped(std::string_view text) {
    std::string escaped;
    for (const char one : shown_text(text)) {
        switch (one) {
        case '<':
            escaped += "&lt;";
            break;
        case '>':
            escaped += "&gt;";
            break;
        case '&':
            escaped += "&amp;";
            break;
        default:
            escaped += one;
        }
    }
    return escaped;
}

// {"5":"the","9":"cat"}: the text of every token, each requested once.
template <class Text>
std::string json_texts(std::vector<token_t> tokens, Text& text) {
    std::sort(tokens.begin(), tokens.end());
    tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
    std::string result = "{";
    for (const token_t token : tokens) {
        result +=
            (result.size() > 1 ? "," : "") + ('"' + shortest(token)) + "\":" + json_string(std::string(text(token)));
    }
    return result + "}";
}

// The tokens that a page shows.
inline std::vector<token_t> shown_tokens(const canvas& before, const trace& what) {
    std::vector<token_t> shown;
    const auto add = [&](token_t token, position_state state) {
        if (token != before.vocabulary().mask || state == position_state::prompt) {
            shown.push_back(token);
        }
    };
    for (index_t sequence = 0; sequence < before.sequences(); ++sequence) {
        for (index_t position = 0; position < before.length(sequence); ++position) {
            add(before.token(sequence, position), before.state(sequence, position));
        }
    }
    for (const trace::entry& entry : what.entries) {
        add(entry.what.token, position_state::masked);
    }
    return shown;
}

// {"id":"7","tokens":[5,9,9],"states":"pmm"}: ids as strings, for JavaScript has no 64-bit integers.
inline std::string html_sequence(const canvas& before, index_t sequence) {
    std::string tokens;
    std::string states;
    for (index_t position = 0; position < before.length(sequence); ++position) {
        tokens += (position > 0 ? "," : "") + shortest(before.token(sequence, position));
        const position_state state = before.state(sequence, position);
        states += state == position_state::prompt ? 'p' : state == position_state::masked ? 'm' : 'c';
    }
    return "{\"id\":\"" + shortest(before.id(sequence)) + "\",\"tokens\":[" + tokens + "],\"states\":\"" + states +
           "\"}";
}

// [call, sequence, position, token, change, shade in percent, score, log-probability]
inline std::string html_change(const trace::entry& entry, double shade) {
    const commitment& what = entry.what;
    return "[" + shortest(entry.call) + "," + shortest(what.where.sequence) + "," + shortest(what.where.position) +
           "," + shortest(what.token) + "," + shortest(static_cast<int>(what.change)) + "," +
           shortest(std::lround(100 * shade)) + "," + json_number(what.score.value) + "," +
           json_number(what.log_probability) + "]";
}

} // namespace detail

/// Writes a generation as one self-contained HTML file that needs no network: the canvas over time, with a slider, a
/// button and keys to step through the model's calls. The prompt is bold, masked positions are dots, and tokens are the
/// darker the surer they were. Edits and remasked positions are marked. Pointing at or tapping a token shows its call,
/// score and log-probability. The page opens at the end of the run, or at the step in its address: generation.html#12.
///
/// `before` is the canvas before the run. `text` is called once for each token that occurs. Throws invalid_argument,
/// with nothing written, if the trace does not fit the canvas. The caller checks whether writing to `out` succeeded.
/// The file has about 15 kB plus 60 bytes per change.
template <token_text Text>
void write_html(std::ostream& out, const canvas& before, const trace& what, Text&& text,
                const html_options& options = {}) {
    static_cast<void>(detail::replayed("write_html", what, before, std::numeric_limits<index_t>::max()));
    const std::vector<double> shades = detail::shades_of(what, options.shade);
    const std::string texts = detail::json_texts(detail::shown_tokens(before, what), text);
    out << detail::html_begin << detail::html_escaped(options.title) << detail::html_style
        << "{\"title\":" << detail::json_string(options.title)
        << ",\"mask\":" << detail::shortest(before.vocabulary().mask) << ",\"texts\":" << texts << ",\n\"sequences\":[";
    for (index_t sequence = 0; sequence < before.sequences(); ++sequence) {
        out << (sequence > 0 ? ",\n" : "") << detail::html_sequence(before, sequence);
    }
    out << "],\n\"changes\":[";
    for (std::size_t i = 0; i < shades.size(); ++i) {
        out << (i > 0 ? ",\n" : "") << detail::html_change(what.entries[i], shades[i]);
    }
    out << "]}" << detail::html_script_begin << detail::html_script << detail::html_end;
}

UNMASK_NAMESPACE_END
