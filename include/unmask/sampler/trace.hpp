// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <vector>

#include <unmask/config.hpp>
#include <unmask/sampler/observer.hpp>

UNMASK_NAMESPACE_BEGIN

/// An observer that writes down every commitment, in order. Positions that a stop rule fills are not drawn, so they are
/// not in it.
struct trace {
    struct entry {
        index_t call = 0;
        commitment what;
    };
    std::vector<entry> entries;

    void operator()(const sampler_step& step) {
        for (const commitment& what : step.commitments) {
            entries.push_back({step.call, what});
        }
    }
};

UNMASK_NAMESPACE_END
