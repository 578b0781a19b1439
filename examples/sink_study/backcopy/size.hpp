// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <string>

#include "integers.hpp"

namespace sink_study::backcopy {

using unmask::index_t;

/// How large the models are, and how long they learn.
struct size {
    std::string name;
    index_t width;
    index_t ffn;
    index_t tokens;             ///< of a batch: longer sequences are fewer
    index_t steps;              ///< of training
    index_t causal_steps;       ///< of the causal control's
    index_t held_out;           ///< sequences to evaluate on
    index_t traced;             ///< sequences to measure sinks on
    index_t trajectory;         ///< steps in which they are filled
    index_t length_divisor = 1; ///< sequences are so many times shorter than their cell says
};

/// `registered` is what the study reports, `tiny` is for tests. Throws std::invalid_argument for other names.
size size_of(const std::string& name);

} // namespace sink_study::backcopy
