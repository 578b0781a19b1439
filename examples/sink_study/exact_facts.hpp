// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <string>
#include <vector>

namespace sink_study {

/// Something that is true of every model with an extra sink token, trained or not, and by how much it fails here.
struct exact_fact {
    std::string what;
    double largest_difference; ///< between numbers that should be the same
    double allowed;            ///< 0: the same bits; else what another order of sums may cost
};

/// The facts, on a model of random weights large enough for attention to be far from even.
std::vector<exact_fact> exact_facts();

} // namespace sink_study
