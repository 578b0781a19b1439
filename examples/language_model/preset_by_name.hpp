// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/executor/cpu_executor.hpp>

#include "denoiser.hpp"
#include "sampling_choice.hpp"

namespace language_model {

/// The presets that the shipped model can be sampled with.
inline constexpr const char* preset_names =
    "llada, dream, fast_dllm, fast_dllm_factor, dinfer_credit, dinfer_hierarchy, "
    "sdar, llada2, llada21, klass, eb, mdlm, remdm, wino";

/// The sampler that a choice describes. The model is used when the result is called; for an exact cache, the same
/// weights as a block diffusion model are. Throws std::invalid_argument if there is no such combination.
text_sampler make_sampler(const sampling_choice& choice, const unmask::cpu_executor& exec,
                          language_model_denoiser& model, const safetensors_file& file);

} // namespace language_model
