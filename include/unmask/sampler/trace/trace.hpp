// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <array>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/sampler/observer.hpp>

UNMASK_NAMESPACE_BEGIN

/// An observer that records every change of one run, in order of call, sequence and position. Together with the canvas
/// before the run, it determines everything that the run did; see replay, compare, write_trace, to_terminal, write_html
/// and path_log_probability. Use a new trace for each run.
struct trace {
    /// A change and the call that made it.
    struct entry {
        index_t call = 0; ///< number of the model's call in the run, from 0
        commitment what;  ///< the change
    };
    std::vector<entry> entries; ///< all changes, in order

    /// Records the changes of a step.
    void operator()(const sampler_step& step) {
        for (const commitment& what : step.commitments) {
            entries.push_back({step.call, what});
        }
    }
};

namespace detail {

inline constexpr std::array change_names{"none", "commit", "remask", "renoise", "edit", "fill"};

} // namespace detail

UNMASK_NAMESPACE_END
