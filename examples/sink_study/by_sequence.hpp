// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include <unmask/analysis/sink_record.hpp>

namespace sink_study {

/// Records of one sequence after another, cut where the next one begins.
inline std::vector<std::span<const unmask::sink_record>> by_sequence(std::span<const unmask::sink_record> records) {
    std::vector<std::span<const unmask::sink_record>> result;
    for (std::size_t begin = 0, i = 1; i <= records.size(); ++i) {
        if (i == records.size() || records[i].sequence != records[begin].sequence) {
            result.push_back(records.subspan(begin, i - begin));
            begin = i;
        }
    }
    return result;
}

} // namespace sink_study
