// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstdint>
#include <string>

#include <unmask/executor/cpu_executor.hpp>
#include <unmask/sampler/canvas.hpp>

#include "denoiser.hpp"
#include "preset_by_name.hpp"

namespace language_model {

/// What --compare is told, besides what holds for every preset.
struct comparison {
    sampling_choice common; ///< preset, steps, threshold and cache left open
    std::uint64_t seed = 1;
    std::string text_path; ///< of the training text
    std::string picture{}; ///< the file of one, in SVG, of presets at several speeds; empty: none
};

/// Fills copies of a page with every preset, some at several speeds, and prints a table: calls of the model, tokens for
/// a call, how a judge that is not the model finds the texts (text_judge), and how fast it went. Its last row is
/// held-out text of the same size. Before it, the model's bound on the bits of a character of the held-out text; after
/// it, how far the approximate caches lead away from the model.
void compare_presets(const comparison& how, const unmask::cpu_executor& exec, language_model_denoiser& model,
                     const safetensors_file& file, const unmask::canvas& page);

} // namespace language_model
