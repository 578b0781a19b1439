// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <optional>
#include <string>

#include <unmask/config.hpp>

#include "refuse.hpp"

namespace language_model {

using examples::refuse;
using unmask::index_t;

/// The presets that the shipped model can be sampled with.
inline constexpr const char* preset_names =
    "llada, dream, fast_dllm, fast_dllm_factor, dinfer_credit, dinfer_hierarchy, "
    "sdar, llada2, llada21, klass, eb, mdlm, remdm, wino";

/// What a command line says of how to sample. Where it says nothing, a preset's published value holds, except that a
/// preset with a number of steps in all has one for each token, and llada blocks of 8.
struct sampling_choice {
    std::string preset = "llada";
    index_t masked = 0;                ///< tokens to be written
    std::optional<index_t> steps{};    ///< in all; of a block in sdar, llada2 and llada21
    std::optional<index_t> block{};    ///< tokens
    std::optional<double> threshold{}; ///< a probability
    double temperature = 1.0;          ///< of a token's draw, as the next two
    index_t top_k = 0;                 ///< 0: all
    std::optional<double> top_p{};
    double guidance = 0;        ///< LLaDA's scale; 0: none
    std::string cache = "none"; ///< or exact, prefix, dual
};

} // namespace language_model
