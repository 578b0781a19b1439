// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "../checkpoint.hpp"
#include "../sampling_choice.hpp"
#include "device_trainer.hpp"

namespace language_model {

/// The presets that the GPU has.
inline constexpr std::array<std::string_view, 10> gpu_presets = {
    "llada", "dream", "fast_dllm", "fast_dllm_factor", "dinfer_hierarchy", "sdar", "llada2", "klass", "eb", "mdlm"};

/// Texts that were written together, and what they took.
struct gpu_texts {
    std::vector<std::vector<token_t>> texts;
    index_t calls = 0;       ///< of the model
    index_t evaluations = 0; ///< a text's share in a call
    index_t committed = 0;   ///< tokens
    double seconds = 0.0;
};

/// Throws std::invalid_argument if the GPU does not sample like that: the presets above, without cache or guidance.
void check_on_gpu(const sampling_choice& choice);

/// What a checkpoint holds, in plain types: those of the library don't cross between compilers.
struct trained_model {
    model_card card;
    std::vector<float> weights; ///< all of them, in the order of model_weights
};

/// Writes so many texts, blank where they are to be filled in, on the GPU: model and sampler. The model must have been
/// trained on texts of at least that length, if it is to write well. Throws as check_on_gpu, and std::runtime_error if
/// the program has no kernels or there is no GPU.
gpu_texts generate_on_gpu(const trained_model& trained, const sampling_choice& choice, const std::vector<token_t>& text,
                          index_t samples, std::uint64_t seed, precision use);

} // namespace language_model
