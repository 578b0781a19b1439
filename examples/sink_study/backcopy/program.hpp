// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <functional>
#include <string>

#include "command_line.hpp"

namespace sink_study::backcopy {

/// What `sink_study --backcopy` does with the options behind it: runs the grid, reports on it, lists its jobs, or
/// prints what was expected of it. Throws std::invalid_argument for wrong options.
void program(examples::command_line& options, const std::string& default_results, const std::function<bool()>& stop);

} // namespace sink_study::backcopy
