// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <utility>

#include <unmask/config.hpp>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/detail/step/canvas_changes.hpp>
#include <unmask/sampler/detail/stopwatch.hpp>
#include <unmask/sampler/statistics.hpp>

// What is done around the steps of a run, whatever runs them.

UNMASK_NAMESPACE_BEGIN
namespace detail {

// Calls fill(), which fills the canvas and counts. Whatever it throws, the canvas is as it was.
template <class Fill>
void run_or_restore(canvas& page, statistics& counts, const Fill& fill) {
    canvas before = page;
    try {
        const stopwatch watch;
        fill();
        counts.seconds_in_sampling = watch.seconds() - counts.seconds_in_model;
    } catch (...) {
        page = std::move(before);
        throw;
    }
    counts.useful = useful_positions(before, page);
}

// Applies the stop rule. True if the sequence is done; what is left of it is then filled.
template <class Stop, class Changes>
bool stop_sequence(const Stop& stop, const canvas& page, index_t sequence, Changes& changes) {
    const auto keep = stop(page, sequence);
    if (keep && page.vocabulary().end) {
        changes.end_text(sequence, *keep);
    }
    return keep.has_value();
}

// Whether a sequence needs no step at all.
template <class Stop, class Changes>
bool is_done_at_once(const Stop& stop, const canvas& page, index_t sequence, Changes& changes) {
    return page.masked(sequence) == 0 || stop_sequence(stop, page, sequence, changes);
}

} // namespace detail
UNMASK_NAMESPACE_END
