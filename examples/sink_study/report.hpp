// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <ostream>

#include "study_results.hpp"

namespace sink_study {

/// Writes what the results say, in Markdown: each claim of the paper's abstract with its figure, ours, and a verdict;
/// and a table of all variants.
///
/// Verdicts follow from the numbers by a rule. A claim that something differs is reproduced if the 95 % interval over
/// seeds lies on the claim's side of 0, contradicted if it lies on the other, and not reproduced at this scale if it
/// holds 0. A claim that something does not matter is reproduced if the interval lies within ± 0.02 bits (1 % of what a
/// model of this kind needs), contradicted if it lies outside, and undecided otherwise.
void write_report(std::ostream& out, const study_results& results);

} // namespace sink_study
