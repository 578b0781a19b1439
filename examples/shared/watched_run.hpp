// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <span>
#include <string>

#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/observer.hpp>
#include <unmask/sampler/statistics.hpp>

#include "formatted.hpp"
#include "program.hpp"
#include "terminal_view.hpp"

namespace examples {

/// Fills a page by fill(observer), on the terminal if it is to be watched: then an interrupt ends the run after the
/// current call. cells(canvas, commitments) is what the terminal shows; `unit` is what a position holds, in the plural.
template <class Cells, class Fill>
unmask::statistics watched_run(const unmask::canvas& page, bool watched, const char* unit, const Cells& cells,
                               const Fill& fill) {
    if (!watched) {
        return fill([](const unmask::sampler_step&) { return true; });
    }
    catch_interrupts();
    terminal_view screen;
    screen.show(cells(page, std::span<const unmask::commitment>()), "");
    return fill([&](const unmask::sampler_step& step) {
        screen.show(cells(step.canvas, step.commitments),
                    formatted("call %lld, %lld %s to go", static_cast<long long>(step.call + 1),
                              static_cast<long long>(step.masked), unit));
        return interrupted == 0;
    });
}

/// What a run took, in one line.
inline std::string sentence_of(const unmask::statistics& run, const char* unit) {
    const double seconds = run.seconds_in_model + run.seconds_in_sampling;
    return formatted("%lld function evaluations in %lld calls, %.2f %s each; %.2f s in the model, %.2f s in sampling; "
                     "%.1f %s/s%s",
                     static_cast<long long>(run.nfe.denoise), static_cast<long long>(run.calls), run.tpf(), unit,
                     run.seconds_in_model, run.seconds_in_sampling,
                     seconds > 0.0 ? static_cast<double>(run.committed) / seconds : 0.0, unit,
                     run.stopped_early ? "; interrupted" : "");
}

} // namespace examples
