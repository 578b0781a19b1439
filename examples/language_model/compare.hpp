// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <unmask/executor/cpu_executor.hpp>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/statistics.hpp>

#include "denoiser.hpp"
#include "preset_by_name.hpp"

namespace language_model {

/// What --compare is told, besides what holds for every preset.
struct comparison {
    sampling_choice common; ///< preset and cache left open
    std::uint64_t seed = 1;
    std::string text_path; ///< of the training text
};

/// Fills copies of a page with every preset, and prints a table: the share of words that occur in the training text,
/// model calls for a text, characters for a call, and characters for a second. Before it, the model's bound on the bits
/// of a character of the held-out text; after it, how far the approximate caches lead away from the model.
void compare_presets(const comparison& how, const unmask::cpu_executor& exec, language_model_denoiser& model,
                     const safetensors_file& file, const unmask::canvas& page);

} // namespace language_model
