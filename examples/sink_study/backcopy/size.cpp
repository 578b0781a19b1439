// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "size.hpp"

#include <stdexcept>

namespace sink_study::backcopy {

size size_of(const std::string& name) {
    if (name == "tiny") {
        return {.name = name,
                .width = 16,
                .ffn = 16,
                .tokens = 64,
                .steps = 3,
                .causal_steps = 3,
                .held_out = 16,
                .traced = 2,
                .trajectory = 4,
                .length_divisor = 4};
    }
    if (name == "registered") {
        return {.name = name,
                .width = 64,
                .ffn = 128,
                .tokens = 64 * 64,
                .steps = 600,
                .causal_steps = 1200,
                .held_out = 1024,
                .traced = 64,
                .trajectory = 16};
    }
    throw std::invalid_argument("there is no size '" + name + "'; there are registered and tiny");
}

} // namespace sink_study::backcopy
