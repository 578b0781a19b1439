// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/executor/cpu_executor.hpp>

#include "choice_presets.hpp"
#include "denoiser.hpp"
#include "sampling_choice.hpp"
#include "text_sampler.hpp"

namespace language_model {

/// Throws std::invalid_argument if there is no such combination on the CPU.
void check(const sampling_choice& choice);

/// The sampler that a choice describes. The model is used when the result is called; for an exact cache, the same
/// weights as a block diffusion model are. Throws std::invalid_argument if there is no such combination.
text_sampler make_sampler(const sampling_choice& choice, const unmask::cpu_executor& exec,
                          language_model_denoiser& model, const safetensors_file& file);

} // namespace language_model
