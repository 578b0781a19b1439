// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cell.hpp"
#include "results.hpp"

namespace sink_study::backcopy {

/// What is expected of a number of a cell, or of its difference from that of another cell with the same seed: that it
/// is between two bounds.
struct expectation {
    std::string id;
    std::string part; ///< visible, hidden, control, position, value, movement, larger model, longer
    std::string text;
    cell of;
    std::optional<cell> less;
    std::string number; ///< JSON pointer into a result
    double low;         ///< may be infinite, as the next
    double high;

    [[nodiscard]] std::string bounds() const; ///< "0.3 … 0.5", "> 2" or "< 0.15"
};

/// What was written down before the registered seeds were run.
const std::vector<expectation>& registered_expectations();

/// The number of an expectation, over seeds.
estimate number_of(const expectation& which, const results_folder& results);

/// held, failed, undecided, or that there is no number, by the rule of EXPECTATIONS.md: failed, if the number is
/// outside its bounds in most seeds, or if the whole 95 % interval of its mean is; held, if all five seeds are
/// there and the whole interval is inside; undecided otherwise.
std::string verdict_of(const expectation& which, const estimate& number);

/// The expectations as a table of Markdown.
std::string table_of_expectations();

} // namespace sink_study::backcopy
