// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <array>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/sampler/observer.hpp>

UNMASK_NAMESPACE_BEGIN

/// An observer that writes down every change of one run, in order: by call, then by sequence and position. With the
/// canvas as it was before the run it is all that there is to know of what the run did; see replay, compare,
/// write_trace, to_terminal, write_html and path_log_probability. For a second run, take a second trace.
struct trace {
    struct entry {
        index_t call = 0; ///< of the model in its run, from 0
        commitment what;
    };
    std::vector<entry> entries;

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
