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

// Errors about one entry of a trace.
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
            if (what.token != page.vocabulary().mask) { // uniform corruption: what is masked holds noise
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
            if (page.state(sequence, position) == position_state::committed) { // a stop rule overwrites these too
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

// The entries of one call, of those that are left.
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

/// Makes of a canvas, which is as it was before a run, what the run made of it, without the model. Throws
/// invalid_argument, naming the entry, if the trace does not fit the canvas, which is then as it was.
/// O(canvas + entries).
inline void replay(const trace& what, canvas& page) {
    page = detail::replayed("replay", what, page, std::numeric_limits<index_t>::max());
}

/// The same, up to and including the model's call number `call`: the canvas as the observer saw it then. −1, or any
/// other negative number, leaves it as it was before the run. Entries after that call are not looked at.
inline void replay_until(const trace& what, canvas& page, index_t call) {
    page = detail::replayed("replay_until", what, page, call);
}

/// Goes through a replay call by call. Keeps a canvas of its own and refers to the trace.
class trace_cursor {
public:
    /// Before the first call. Throws invalid_argument if the trace does not fit the canvas. O(canvas + entries).
    trace_cursor(const trace& what, canvas before) : left_(what.entries), page_(std::move(before)) {
        static_cast<void>(
            detail::replayed("trace_cursor", what, page_, std::numeric_limits<index_t>::max())); // throws if wrong
    }
    trace_cursor(trace&&, canvas) = delete;

    /// As it is now.
    [[nodiscard]] const canvas& page() const { return page_; }

    /// What the next call that changed anything changed; empty at the end of the trace.
    [[nodiscard]] std::span<const trace::entry> next() const {
        return left_.empty() ? left_ : detail::first_call(left_);
    }

    /// Makes these changes. At the end of the trace it does nothing. O(changes).
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
