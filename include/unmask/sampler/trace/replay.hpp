// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <utility>

#include <unmask/config.hpp>
#include <unmask/error.hpp>
#include <unmask/sampler/candidate.hpp>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/trace/trace.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// Throws errors about an entry of a trace.
struct entry_fault {
    const char* function;
    std::size_t index;

    [[noreturn]] void operator()(const std::string& argument, std::string was, std::string expected) const {
        throw invalid_argument(function, argument + " of trace.entries[" + std::to_string(index) + "]", std::move(was),
                               std::move(expected));
    }
};

inline void check_place(const entry_fault& wrong, const canvas& page, row where) {
    if (where.sequence < 0 || where.sequence >= page.sequences()) {
        wrong("sequence", std::to_string(where.sequence), "one of the canvas");
    }
    if (where.position < 0 || where.position >= page.length(where.sequence)) {
        wrong("position", std::to_string(where.position), "one of the sequence");
    }
}

inline void apply_change(const entry_fault& wrong, canvas& page, const commitment& what) {
    const auto [sequence, position] = what.where;
    check_place(wrong, page, what.where);
    try {
        switch (what.change) {
        case change::commit:
            page.commit(sequence, position, what.token);
            return;
        case change::remask:
            page.remask(sequence, position);
            if (what.token != page.vocabulary().mask) { // uniform corruption: masked positions hold noise
                page.renoise(sequence, position, what.token);
            }
            return;
        case change::renoise:
            page.renoise(sequence, position, what.token);
            return;
        case change::edit:
            page.edit(sequence, position, what.token);
            return;
        case change::fill:
            if (const auto end = page.vocabulary().end; !end || what.token != *end) {
                wrong("token", std::to_string(what.token), "the end token, as it is a fill");
            }
            if (page.state(sequence, position) ==
                position_state::committed) { // a stop rule also overwrites committed positions
                page.edit(sequence, position, what.token);
            } else {
                page.commit(sequence, position, what.token);
            }
            return;
        case change::none:
            break;
        }
    } catch (const invalid_argument& error) { // from the canvas, or from above
        wrong(error.argument().substr(0, error.argument().find(" of ")), error.was(), error.expected());
    }
    wrong("change", "none", "what happened to the position");
}

// The entries of the first call in `left`.
inline std::span<const trace::entry> first_call(std::span<const trace::entry> left) {
    const auto other = std::find_if(left.begin(), left.end(),
                                    [&](const trace::entry& entry) { return entry.call != left.front().call; });
    return left.first(static_cast<std::size_t>(other - left.begin()));
}

inline canvas replayed(const char* function, const trace& what, const canvas& before, index_t last_call) {
    canvas page = before;
    index_t call = 0;
    for (std::size_t i = 0; i < what.entries.size() && what.entries[i].call <= last_call; ++i) {
        const entry_fault wrong{function, i};
        if (what.entries[i].call < call) {
            wrong("call", std::to_string(what.entries[i].call), "at least " + std::to_string(call));
        }
        call = what.entries[i].call;
        apply_change(wrong, page, what.entries[i].what);
    }
    return page;
}

} // namespace detail

/// Applies a trace to the canvas before its run, which gives the canvas after the run, without the model.
/// Throws invalid_argument, naming the entry, if the trace does not fit the canvas, which is then
/// unchanged. O(canvas + entries).
inline void replay(const trace& what, canvas& page) {
    page = detail::replayed("replay", what, page, std::numeric_limits<index_t>::max());
}

/// Applies a trace up to and including call number `call` of the model, which gives the canvas that the observer saw
/// then. A negative number leaves the canvas unchanged. Later entries are not checked. Otherwise like replay.
inline void replay_until(const trace& what, canvas& page, index_t call) {
    page = detail::replayed("replay_until", what, page, call);
}

/// Replays a trace call by call on a canvas of its own. Refers to the trace, which must outlive it.
class trace_cursor {
public:
    /// A cursor before the first call. Throws invalid_argument if the trace does not fit the canvas. O(canvas +
    /// entries).
    trace_cursor(const trace& what, canvas before)
        : left_(what.entries.data(), what.entries.size()), page_(std::move(before)) {
        static_cast<void>(
            detail::replayed("trace_cursor", what, page_, std::numeric_limits<index_t>::max())); // throws if wrong
    }
    trace_cursor(trace&&, canvas) = delete;

    /// The canvas at the cursor.
    [[nodiscard]] const canvas& page() const { return page_; }

    /// The changes of the next call that made any; empty at the end of the trace.
    [[nodiscard]] std::span<const trace::entry> next() const {
        return left_.empty() ? left_ : detail::first_call(left_);
    }

    /// Applies the changes that next() returns. Does nothing at the end of the trace. O(changes).
    void advance() {
        const auto now = next();
        for (const trace::entry& entry : now) {
            detail::apply_change({"trace_cursor", 0}, page_, entry.what);
        }
        left_ = left_.subspan(now.size());
    }

private:
    std::span<const trace::entry> left_;
    canvas page_;
};

UNMASK_NAMESPACE_END
