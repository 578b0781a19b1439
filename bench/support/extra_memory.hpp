// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <fstream>
#include <optional>
#include <string>

#include <malloc.h>

namespace bench {

namespace detail {

// A line of /proc/self/status, in MiB.
inline std::optional<double> memory_status(const std::string& field) {
    std::ifstream file("/proc/self/status");
    for (std::string word; file >> word;) {
        double kibibytes = 0.0;
        if (word == field + ":" && file >> kibibytes) {
            return kibibytes / 1024.0;
        }
    }
    return {};
}

} // namespace detail

/// Calls `call` and returns by how many MiB the memory of the process grew meanwhile, at its peak. Nothing where Linux
/// does not let us reset the peak.
template <class Call>
std::optional<double> extra_memory(const Call& call) {
    malloc_trim(0); // what lies freed in the heap would be used again without being counted
    const bool reset = static_cast<bool>(std::ofstream("/proc/self/clear_refs") << 5 << std::flush);
    const std::optional<double> before = detail::memory_status("VmRSS");
    call();
    const std::optional<double> peak = detail::memory_status("VmHWM");
    return reset && before && peak ? std::optional(*peak - *before) : std::nullopt;
}

} // namespace bench
