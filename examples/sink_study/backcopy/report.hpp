// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <string>

#include "results.hpp"

namespace sink_study::backcopy {

/// The verdict on every expectation, and tables of what was measured, as Markdown.
std::string report_of(const results_folder& results);

/// Where the attention of masked queries goes while sequences are filled in, as an SVG.
std::string picture_of(const results_folder& results);

} // namespace sink_study::backcopy
