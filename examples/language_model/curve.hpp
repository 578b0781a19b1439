// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <cstdio>
#include <istream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "chart.hpp"
#include "evaluate.hpp"

// What `train` printed, as a picture.

namespace language_model {

/// The bounds in what training runs printed, by step. Where a run began again from an earlier step, its bounds replace
/// those of the run before.
inline std::map<index_t, bound> bounds_in(std::istream& log) {
    std::map<index_t, bound> found;
    long long step = 0;
    for (std::string line; std::getline(log, line);) {
        std::sscanf(line.c_str(), "step %lld", &step);
        if (const std::size_t from = line.find("from step "); from != std::string::npos) {
            std::sscanf(line.c_str() + from, "from step %lld", &step);
            found.erase(found.upper_bound(step), found.end());
        }
        bound measured;
        long long windows = 0;
        const std::size_t begin = line.find("held-out bound ");
        if (begin != std::string::npos &&
            std::sscanf(line.c_str() + begin, "held-out bound %lf bits/character, standard error %lf, %lld windows",
                        &measured.bits, &measured.standard_error, &windows) == 3) {
            measured.windows = windows;
            found[step] = measured;
        }
    }
    return found;
}

/// The bounds against the tokens seen. Levels are what there is to beat.
inline examples::chart curve_of(const std::map<index_t, bound>& bounds, index_t tokens_a_step,
                                std::vector<examples::chart_level> levels) {
    examples::chart_series model{"the model, with two standard errors", {}};
    for (const auto& [step, measured] : bounds) {
        model.points.push_back(
            {static_cast<double>(step * tokens_a_step) / 1e6, measured.bits, 2.0 * measured.standard_error});
    }
    return {.title = "Bound on the bits of a character of the held-out text",
            .x_label = "million tokens seen",
            .series = {std::move(model)},
            .levels = std::move(levels)};
}

} // namespace language_model
