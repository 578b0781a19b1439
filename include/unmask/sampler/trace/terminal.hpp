// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/sampler/candidate.hpp>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/trace/replay.hpp>
#include <unmask/sampler/trace/shade.hpp>
#include <unmask/sampler/trace/text.hpp>
#include <unmask/sampler/trace/trace.hpp>

UNMASK_NAMESPACE_BEGIN

/// Options of to_terminal.
struct terminal_options {
    shade_by shade = shade_by::score; ///< the meaning of a token's shade
    bool light_background = false;    ///< makes the surest tokens black instead of white
};

namespace detail {

// The look of one position.
struct terminal_cell {
    double shade = 1;
    change fresh = change::none; // of the call that is shown
};

// Escape sequences: 0 is plain, 1 bold, 2 dim, 3 italic, 4 underlined, 38;5;n a colour of 256; greys are 232 to 255.
inline std::string terminal_style(const terminal_cell& cell, position_state state, const terminal_options& options) {
    if (state == position_state::prompt) {
        return "\033[0;1m";
    }
    if (state == position_state::masked) {
        return cell.fresh == change::remask ? "\033[0;1m" : "\033[0;2m";
    }
    constexpr double faintest = 240;
    const double surest = options.light_background ? 232 : 255;
    const double faint = options.light_background ? 250 : faintest;
    const auto grey = std::lround(faint + cell.shade * (surest - faint));
    const char* how = cell.fresh == change::none ? "" : cell.fresh == change::edit ? ";3;4" : ";4";
    return std::string("\033[0") + how + ";38;5;" + std::to_string(grey) + "m";
}

} // namespace detail

/// Shows a canvas after call number `call` of the model as text for a terminal with 256 colours. `page` is the canvas
/// after that call; later entries of the trace only affect the ranks of scores. The prompt is bold, masked positions
/// are dim dots (dim noise in a model of uniform diffusion), and tokens are the brighter the surer they were. Tokens
/// that the call wrote are underlined, edits also italic, and positions that it remasked are bright dots. Sequences are
/// separated by an empty line; the text ends with a newline and plain style.
///
/// During a run, call it from an observer: to_terminal(step.canvas, so_far, step.call, text). After a run, use
/// replay_until or a trace_cursor. Invalid UTF-8 and control characters are replaced by symbols. Throws
/// invalid_argument if an entry is outside the canvas. O(canvas + n log n) for n entries.
template <token_text Text>
[[nodiscard]] std::string to_terminal(const canvas& page, const trace& what, index_t call, Text&& text,
                                      const terminal_options& options = {}) {
    std::vector<detail::terminal_cell> cells(page.tokens().size());
    const std::vector<double> shades = detail::shades_of(what, options.shade);
    for (std::size_t i = 0; i < shades.size() && what.entries[i].call <= call; ++i) {
        const trace::entry& entry = what.entries[i];
        const row where = entry.what.where;
        detail::check_place({"to_terminal", i}, page, where);
        cells[static_cast<std::size_t>(page.offset(where.sequence) + where.position)] = {
            shades[i], entry.call == call ? entry.what.change : change::none};
    }
    std::string result;
    std::string style;
    for (index_t sequence = 0; sequence < page.sequences(); ++sequence) {
        result += sequence > 0 ? "\n\n" : "";
        for (index_t position = 0; position < page.length(sequence); ++position) {
            const auto place = static_cast<std::size_t>(page.offset(sequence) + position);
            const position_state state = page.state(sequence, position);
            const token_t token = page.token(sequence, position);
            if (const std::string now = detail::terminal_style(cells[place], state, options); now != style) {
                style = now;
                result += style;
            }
            const bool dot = state == position_state::masked && token == page.vocabulary().mask;
            result += dot ? "·" : detail::shown_text(std::string(text(token)));
        }
    }
    return result + "\033[0m\n";
}

UNMASK_NAMESPACE_END
